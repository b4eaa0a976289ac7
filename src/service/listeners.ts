import { setTimeout as delay } from 'node:timers/promises'
import { atMost, type Clock } from '../concurrency/clock.ts'
import { toResolveError } from '../errors.ts'
import type { ListenerState, Readiness } from '../http/types.ts'
import type { Logger } from '../telemetry/log.ts'

interface ListenersOptions {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
}

export interface OpenServer {
  /** Why clients cannot connect at this moment; absent or undefined: they can. */
  unavailableReason?(): string | undefined
  close(): Promise<unknown>
}

type Open = (signal: AbortSignal) => Promise<OpenServer>

const RETRY_MS = 500

/**
 * The servers of this process, by name. None of them waits for another: a taken HTTP address must not
 * keep a kubelet from its images. While the runtime is not up yet, another instance is still ending, or something is in
 * the way, a server is tried again. Each reason is logged once.
 */
export class Listeners {
  readonly #options: ListenersOptions
  readonly #states = new Map<string, ListenerState>()
  readonly #servers = new Map<string, OpenServer>()
  /** Each resolves when the server is open, or closed for good. */
  readonly #opened = new Map<string, Promise<void>>()
  readonly #stopped = new AbortController()

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  /**
   * Opens it as soon as `open` does not throw any more. Never throws.
   *
   * @param open its signal ends when all are closed: what it throws then is not told
   */
  keep(name: string, open: Open): void {
    this.#states.set(name, { door: name, open: false, reason: 'starting' })
    this.#opened.set(name, this.#retry(name, open))
  }

  state(name: string): ListenerState {
    const state = this.#states.get(name) ?? { door: name, open: false }
    const reason = this.#servers.get(name)?.unavailableReason?.()
    return reason === undefined ? state : { ...state, open: false, reason }
  }

  /** Resolves when these are open, or closed for good, or when the time is up. */
  async settled(names: readonly string[], limitMs: number): Promise<void> {
    const opened = Promise.all(names.map((name) => this.#opened.get(name)))
    await atMost(limitMs, this.#options.clock, opened)
  }

  /** One line: which are open, and why the others are not. */
  status(): string {
    return [...this.#states.keys()]
      .map((name) => this.state(name))
      .map(({ door, open, reason }) => (open ? `${door} is open` : `${door}: ${reason}`))
      .join('; ')
  }

  /** In the reverse order of opening. None is opened from now on. */
  async close(): Promise<void> {
    this.#stopped.abort()
    for (const [name, opened] of [...this.#opened].reverse()) {
      await opened
      await this.#servers.get(name)?.close()
    }
  }

  async #retry(door: string, open: Open): Promise<void> {
    const { signal } = this.#stopped
    let logged = ''
    while (!signal.aborted) {
      try {
        this.#servers.set(door, await open(signal))
        this.#states.set(door, { door, open: true })
        return
      } catch (thrown) {
        if (signal.aborted) return
        const reason = toResolveError(thrown).message
        this.#states.set(door, { door, open: false, reason })
        if (reason !== logged) {
          this.#options.logger.warn({ door, reason }, 'listener not open, retrying')
        }
        logged = reason
      }
      await delay(RETRY_MS, undefined, { signal }).catch(() => {})
    }
  }
}

/** @returns why a listener is not open; undefined: it is */
export async function whyClosed(
  readiness: Pick<Readiness, 'check'>,
  name: string,
): Promise<string | undefined> {
  const listeners = await readiness.check()
  return listeners.find(({ door, open }) => door === name && !open)?.reason
}

/** How long the runtime's answer counts, in milliseconds: frequent probes must not become its load. */
const KEEP_MS = 100

interface ListenerReadinessOptions {
  readonly listeners: Pick<Listeners, 'state'>
  /** The file names a CRI socket or a runtime. */
  readonly criExpected: boolean
  /** The runtime's socket, where there is one by now. */
  readonly runtimeSocket: () => string | undefined
  readonly runtimeAnswers: () => Promise<boolean>
  /** Milliseconds of a monotonic clock. Default: performance.now. */
  readonly steady?: () => number
}

/**
 * Whether every server is open that the configuration asks for, and the runtime answers. A listener that
 * opens or closes shows at once. That the runtime has answered counts for 100 ms, and concurrent callers
 * share one request to it.
 */
export class ListenerReadiness implements Readiness {
  readonly #options: ListenerReadinessOptions
  #asking: Promise<boolean> | undefined
  #answeredAt = Number.NEGATIVE_INFINITY

  constructor(options: ListenerReadinessOptions) {
    this.#options = options
  }

  /** The names of the servers that are asked for: CRI also where a runtime was found without configuration. */
  wanted(): readonly string[] {
    const { criExpected, runtimeSocket } = this.#options
    return criExpected || runtimeSocket() !== undefined ? ['http', 'cri'] : ['http']
  }

  async check(): Promise<readonly ListenerState[]> {
    const { listeners, runtimeSocket } = this.#options
    const http = listeners.state('http')
    if (!this.wanted().includes('cri')) return [http]
    const cri = listeners.state('cri')
    if (!cri.open || (await this.#runtimeAnswers())) return [http, cri]
    const reason = `the runtime at ${runtimeSocket()} does not answer`
    return [http, { door: 'cri', open: false, reason }]
  }

  async #runtimeAnswers(): Promise<boolean> {
    const { runtimeAnswers, steady = () => performance.now() } = this.#options
    if (steady() - this.#answeredAt < KEEP_MS) return true
    this.#asking ??= runtimeAnswers().finally(() => {
      this.#asking = undefined
    })
    const answers = await this.#asking
    if (answers) this.#answeredAt = steady()
    return answers
  }
}
