import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import type { CliContext } from '../../src/cli/context.ts'
import { run } from '../../src/cli/run.ts'
import type { OpenedResolver } from '../../src/service/availability.ts'

export interface CliResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Opens a resolver that does this, and nothing else. */
export function openedResolver(does: Partial<OpenedResolver>): () => Promise<OpenedResolver> {
  const unasked = (what: string) => () => assert.fail(`${what} was not to be asked for`)
  return async () => ({
    askedFor: () => [],
    answer: unasked('an answer'),
    places: unasked('where an image is'),
    created: async () => undefined,
    requests: () => ({ HEAD: 0, GET: 0, POST: 0 }),
    close: async () => {},
    ...does,
  })
}

/**
 * Runs the command line in a context in which nothing is to be asked but what `context` has, and no time
 * passes: on a busy machine a second would show as a line of progress.
 */
export async function runCli(
  args: readonly string[],
  { terminal = false, ...context }: Partial<CliContext> & { readonly terminal?: boolean } = {},
): Promise<CliResult> {
  const out: string[] = []
  const err: string[] = []
  const unasked = (what: string) => async () => assert.fail(`${what} was not to be asked for`)
  const code = await run(args, {
    stdin: Readable.from([]),
    stdout: { isTTY: terminal, write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    environment: {},
    every: () => () => {},
    serve: unasked('the service'),
    resolver: unasked('an answer'),
    node: unasked('the node'),
    names: unasked('the names'),
    registries: unasked('a registry'),
    examine: unasked('this node'),
    stats: unasked('the numbers'),
    fleet: unasked('the fleet'),
    readiness: unasked('the readiness'),
    ...context,
  })
  return { code, out: out.join(''), err: err.join('') }
}
