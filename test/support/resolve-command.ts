import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dump } from 'js-yaml'
import type { ResolveResponse } from '../../api/v1/resolve.ts'
import { MAIN, PATIENT } from './daemon.ts'
import { type Cleanup, temporaryFolder } from './stack.ts'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** `image-resolver resolve …` as a person calls it, with a configuration of its own. */
export async function runResolve(
  t: Cleanup,
  config: object,
  ...args: readonly string[]
): Promise<CommandResult> {
  const folder = temporaryFolder(t)
  const file = join(folder, 'image-resolver.yaml')
  writeFileSync(file, dump({ image: join(folder, 'state'), ...PATIENT, ...config }))
  const coverage = process.env['NODE_V8_COVERAGE']
  const env = {
    PATH: process.env['PATH'],
    ...(coverage === undefined ? {} : { NODE_V8_COVERAGE: coverage }),
  }
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...MAIN, 'resolve', ...args, '--config', file],
      { env },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1)
        resolve({ code, stdout, stderr })
      },
    )
  })
}

/** The answer of `resolve --json`, or the error that it printed. */
export async function resolveJson(
  t: Cleanup,
  config: object,
  ...args: readonly string[]
): Promise<ResolveResponse & { readonly errors?: readonly { readonly code: string }[] }> {
  const { stdout, stderr } = await runResolve(t, config, '--json', ...args)
  try {
    return JSON.parse(stdout)
  } catch (cause) {
    throw new Error(`not JSON: ${stdout}\n${stderr}`, { cause })
  }
}
