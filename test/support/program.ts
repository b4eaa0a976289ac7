import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A program under test, or one the test stands on. */
export interface Program {
  readonly pid: number
  /** All it has printed so far, both streams. */
  output(): string
  /** What it has printed on standard output alone: a busy machine adds lines of progress to the other. */
  stdout(): string
  /** Resolves with the first line that matches; rejects when the program ends before, or after the limit, a minute. */
  line(pattern: RegExp, limitMs?: number): Promise<RegExpExecArray>
  /** True until it has ended. */
  running(): boolean
  /** null while it runs, or when a signal ended it. */
  exitCode(): number | null
  /** Resolves when it has ended by itself. */
  ended(): Promise<void>
  /** SIGTERM, after a minute SIGKILL; resolves when it has ended. */
  stop(): Promise<void>
  /** SIGKILL; resolves when it has ended. */
  kill(): Promise<void>
}

/** Far above what a machine that is busy takes: only what hangs gets there. */
const LIMIT_MS = 60_000

const children = new Set<ChildProcess>()

// A test run that is itself ended in the middle leaves nothing behind.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/**
 * Starts a program with nothing of our environment but PATH, and where coverage is written.
 *
 * @param descriptors of this process, for the program to have as 3, 4, …
 */
export function startProgram(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  descriptors: readonly number[] = [],
): Program {
  const coverage = process.env['NODE_V8_COVERAGE']
  const env = {
    PATH: process.env['PATH'] ?? '',
    ...(coverage === undefined ? {} : { NODE_V8_COVERAGE: coverage }),
    ...environment,
  }
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe', ...descriptors] })
  children.add(child)
  const watchers = new Set<() => void>()
  let [output, stdout] = ['', '']
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      output += text
      if (stream === child.stdout) stdout += text
      for (const watcher of watchers) watcher()
    })
  }
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      output += String(error)
      resolve()
    })
    child.once('close', () => resolve())
  }).then(() => {
    children.delete(child)
    for (const watcher of watchers) watcher()
  })
  const running = () => children.has(child)

  function line(pattern: RegExp, limitMs = LIMIT_MS): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => settle(() => reject(new Error(`${command} ${why}:\n${output}`)))
      const timer = setTimeout(() => fail(`did not print ${pattern}`), limitMs)
      function look(): void {
        const found = pattern.exec(output)
        if (found !== null) settle(() => resolve(found))
        else if (!running()) fail('ended')
      }
      function settle(end: () => void): void {
        clearTimeout(timer)
        watchers.delete(look)
        end()
      }
      watchers.add(look)
      look()
    })
  }

  async function kill(): Promise<void> {
    if (running()) child.kill('SIGKILL')
    await ended
  }

  async function stop(): Promise<void> {
    if (!running()) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    await ended
    clearTimeout(timer)
  }

  return {
    pid: child.pid ?? -1,
    output: () => output,
    stdout: () => stdout,
    line,
    running,
    exitCode: () => child.exitCode,
    ended: () => ended,
    stop,
    kill,
  }
}

/**
 * Runs a program to its end; throws with what it printed when it fails.
 *
 * @param environment beside ours; undefined takes away
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<string> {
  const env = { ...process.env, ...environment }
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
    })
  }
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`)
  return output
}
