import { setTimeout as delay } from 'node:timers/promises'
import { atMost, type Clock } from '../concurrency/clock.ts'
import { toResolveError } from '../errors.ts'
import type { ListenerState, Readiness } from '../http/types.ts'
import type { Logger } from '../telemetry/log.ts'

interface ListenersOptions {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
}

/**
 * The servers of this process, by name. None of them waits for another: a taken HTTP address must not
 * keep a kubelet from its images.
 */
export class Listeners {
  readonly #options: ListenersOptions
  readonly #listeners = new Map<string, RetryingListener>()

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  /**
   * Opens it as soon as `open` does not throw any more. Never throws.
   *
   * @param open its signal ends when all are closed: what it throws then is not told
   */
  keep(name: string, open: (signal: AbortSignal) => Promise<OpenServer>): void {
    const listener = new RetryingListener(name, open, this.#options.logger)
    this.#listeners.set(name, listener)
    void listener.keep()
  }

  state(name: string): ListenerState {
    return this.#listeners.get(name)?.state ?? { door: name, open: false }
  }

  /** Resolves when these are open, or closed for good, or when the time is up. */
  async settled(names: readonly string[], limitMs: number): Promise<void> {
    const opened = Promise.all(names.map((name) => this.#listeners.get(name)?.keep()))
    await atMost(limitMs, this.#options.clock, opened)
  }

  /** One line: which are open, and why the others are not. */
  status(): string {
    return [...this.#listeners.values()]
      .map(({ state: { door, open, reason } }) => (open ? `${door} is open` : `${door}: ${reason}`))
      .join('; ')
  }

  /** In the reverse order of opening. None is opened from now on. */
  async close(): Promise<void> {
    for (const listener of this.#listeners.values()) listener.stop()
    for (const listener of [...this.#listeners.values()].reverse()) await listener.close()
  }
}

const RETRY_MS = 500

export interface OpenServer {
  /** Why clients cannot connect at this moment; absent or undefined: they can. */
  unavailableReason?(): string | undefined
  close(): Promise<unknown>
}

/**
 * A server that is opened as soon as that is possible. While the runtime is not up yet, another instance
 * is still ending, or something is in the way, it is tried again. Each reason is logged once.
 */
class RetryingListener {
  readonly #name: string
  readonly #open: (signal: AbortSignal) => Promise<OpenServer>
  readonly #logger: Pick<Logger, 'warn'>
  readonly #stopped = new AbortController()
  #state: ListenerState
  #server: OpenServer | undefined
  #opening: Promise<OpenServer | undefined> | undefined

  constructor(
    name: string,
    open: (signal: AbortSignal) => Promise<OpenServer>,
    logger: Pick<Logger, 'warn'>,
  ) {
    this.#name = name
    this.#open = open
    this.#logger = logger
    this.#state = { door: name, open: false, reason: 'starting' }
  }

  get state(): ListenerState {
    const reason = this.#server?.unavailableReason?.()
    return reason === undefined ? this.#state : { ...this.#state, open: false, reason }
  }

  /** Resolves when it is open, or closed for good. */
  async keep(): Promise<void> {
    this.#opening ??= this.#retry()
    await this.#opening
  }

  stop(): void {
    this.#stopped.abort()
  }

  async close(): Promise<void> {
    this.stop()
    const server = await this.#opening
    await server?.close()
  }

  async #retry(): Promise<OpenServer | undefined> {
    const door = this.#name
    let logged = ''
    while (!this.#stopped.signal.aborted) {
      try {
        this.#server = await this.#open(this.#stopped.signal)
        this.#state = { door, open: true }
        return this.#server
      } catch (thrown) {
        if (this.#stopped.signal.aborted) break
        const reason = toResolveError(thrown).message
        this.#state = { door, open: false, reason }
        if (reason !== logged) this.#logger.warn({ door, reason }, 'listener not open, retrying')
        logged = reason
      }
      await delay(RETRY_MS, undefined, this.#stopped).catch(() => {})
    }
    return undefined
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
