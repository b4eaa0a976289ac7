import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { run } from '../../src/cli/run.ts'
import type { World } from '../../src/cli/world.ts'

export interface CliResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs the command line in a world in which nothing is to be asked but what `world` has. */
export async function runCli(
  args: readonly string[],
  { terminal = false, ...world }: Partial<World> & { readonly terminal?: boolean } = {},
): Promise<CliResult> {
  const out: string[] = []
  const err: string[] = []
  const unasked = (what: string) => async () => assert.fail(`${what} was not to be asked for`)
  const code = await run(args, {
    stdin: Readable.from([]),
    stdout: { isTTY: terminal, write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    environment: {},
    serve: unasked('the service'),
    answers: unasked('an answer'),
    node: unasked('the node'),
    names: unasked('the names'),
    registries: unasked('a registry'),
    stats: unasked('the numbers'),
    ...world,
  })
  return { code, out: out.join(''), err: err.join('') }
}
