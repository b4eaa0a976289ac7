import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Program, runProgram, startProgram } from './program.ts'
import {
  type Cleanup,
  findProgram,
  makeFolder,
  removeFolder,
  type Skippable,
  skipLacking,
} from './stack.ts'

export interface Redis {
  /** For `cache.shared.url`. */
  readonly url: string
  /** Of its unix socket. */
  readonly path: string
  readonly program: Program
  /** Runs a command; gives what redis-cli prints of the answer. */
  command(...words: readonly string[]): Promise<string>
  /** What it says of itself, as a number: `total_commands_processed`. */
  figure(name: string): Promise<number>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Starts it again, empty, at the same socket. */
  restart(): Promise<Redis>
}

/** Skips a test where Debian's redis-server is not installed. */
export function requireRedis(t: Skippable): boolean {
  if (findProgram('redis-server') !== undefined && findProgram('redis-cli') !== undefined)
    return true
  skipLacking(t, 'not installed: redis-server')
  return false
}

/** A redis-server on a unix socket, which keeps nothing, gone after the test. */
export async function startRedis(t: Cleanup, options: readonly string[] = []): Promise<Redis> {
  const folder = makeFolder()
  const programs: Program[] = []
  t.after(async () => {
    for (const program of programs) await program.kill()
    await removeFolder(folder)
  })
  return start(folder, options, programs)
}

async function start(
  folder: string,
  options: readonly string[],
  programs: Program[],
): Promise<Redis> {
  const path = join(folder, 'redis.sock')
  const fixed = ['--port', '0', '--unixsocket', path, '--save', '', '--dir', folder]
  const program = startProgram('redis-server', [...fixed, ...options])
  programs.push(program)
  await program.line(/Ready to accept connections/i)
  const command = async (...words: readonly string[]): Promise<string> =>
    (await runProgram('redis-cli', ['-s', path, ...words])).trim()
  return {
    url: `unix://${path}`,
    path,
    program,
    command,
    async figure(name) {
      const [, value] = new RegExp(`^${name}:(\\d+)`, 'm').exec(await command('info')) ?? []
      return Number(value)
    },
    kill: () => program.kill(),
    async restart() {
      if (existsSync(path) && program.running()) throw new Error('it still runs')
      return start(folder, options, programs)
    },
  }
}
