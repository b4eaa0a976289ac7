import type { ChildProcess, spawn } from 'node:child_process'
import { onAbort, withTimeout } from '../concurrency/abortable.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import type { Environment } from '../config/config.ts'
import { codeOf, ResolveError } from '../errors.ts'

/** A program that answers one question: what it reads from standard input, it answers on output. */
export interface Program {
  /** A path, or a name that is looked for in `env.PATH`. Never goes through a shell. */
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly input: string
}

export interface ProgramEnd {
  /** undefined: a signal ended it. */
  readonly code: number | undefined
  /** UTF-8, at most 256 KiB. */
  readonly output: string
}

const MAX_OUTPUT_BYTES = 256 * 1024
const MAX_AT_A_TIME = 8

const START_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not installed',
  EACCES: 'no permission to run it',
}

/**
 * Runs programs, at most 8 at a time. Each has a process group of its own, all of which ends with
 * it. Standard error goes nowhere: programs write secrets there.
 */
export class Programs {
  readonly #limitMs: number
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  readonly #slots = new Semaphore(MAX_AT_A_TIME)

  /** @param limitMs of one run, waiting for its turn included */
  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /** @throws ResolveError that says, without secrets, why there is no answer */
  async run(program: Program): Promise<ProgramEnd> {
    const running = withTimeout(this.#closing.signal, this.#limitMs, (signal) =>
      this.#slots.run('', signal, () => execute(program, signal)),
    )
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Ends what runs; nothing runs any more. */
  async close(): Promise<void> {
    this.#closing.abort(new ResolveError('CANCELED', 'the service is ending'))
    await Promise.allSettled(this.#running)
  }
}

async function execute(program: Program, signal: AbortSignal): Promise<ProgramEnd> {
  const { spawn } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const child = start(program, spawn)
    child.on('error', (error) => reject(startFailure(error)))
    // Where too many files are open there are not even streams.
    if (child.pid === undefined) return
    const chunks: Buffer[] = []
    let bytes = 0
    let failure: unknown

    function stop(reason: unknown): void {
      failure ??= reason
      // Once it was waited for, its number may be another's.
      if (child.exitCode === null && child.signalCode === null) endGroup(child)
      // A process that left the group may hold the other end for ever.
      child.stdout.destroy()
    }
    const leave = () => stop(signal.reason)
    const stopListening = onAbort(signal, leave)

    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > MAX_OUTPUT_BYTES) {
        chunks.length = 0
        stop(new ResolveError('UNAVAILABLE', 'it printed more than 256 KiB'))
      }
    })
    // It may well answer without having read the question.
    child.stdin.on('error', () => {})
    child.stdin.end(program.input)
    child.on('exit', () => endGroup(child))
    child.on('close', (code) => {
      stopListening()
      if (failure !== undefined) reject(failure)
      else resolve({ code: code ?? undefined, output: Buffer.concat(chunks).toString() })
    })
  })
}

function start({ file, args, env }: Program, run: typeof spawn) {
  try {
    return run(file, args, { env, detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
  } catch (thrown) {
    // What Node refuses at once it repeats in its message, environment included.
    throw startFailure(thrown)
  }
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is empty.
  }
}

function startFailure(cause: unknown): ResolveError {
  const code = codeOf(cause) ?? 'unknown'
  const message = START_PROBLEMS[code] ?? `it cannot be started (${code})`
  return new ResolveError('UNAVAILABLE', message, { cause })
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Where a program finds itself, its user's files and the network; in lower case too (http_proxy). */
const NAMES: ReadonlySet<string> = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'TZ',
  'TMPDIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'DOCKER_CONFIG',
  'REGISTRY_AUTH_FILE',
  'DBUS_SESSION_BUS_ADDRESS',
])

/** What the helpers of clouds and password stores are set up with. */
const PREFIXES: readonly string[] = [
  'LC_',
  'XDG_',
  'AWS_',
  'ECR_',
  'AZURE_',
  'GOOGLE_',
  'CLOUDSDK_',
  'GCE_',
  'PASSWORD_STORE_',
  'GNUPG',
]

/** The part of our environment that a credential helper or provider is given. */
export function helperEnvironment(environment: Environment): Record<string, string> {
  const given: Record<string, string> = { PATH: DEFAULT_PATH }
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue
    const known = NAMES.has(name.toUpperCase()) || PREFIXES.some((each) => name.startsWith(each))
    if (known) given[name] = value
  }
  return given
}
