import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../concurrency/clock.ts'
import { toResolveError } from '../errors.ts'
import type { DoorState, Readiness } from '../http/types.ts'
import type { Logger } from '../telemetry/log.ts'

interface ListenersOptions {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
}

/**
 * All doors of the service. None of them waits for another: a taken HTTP address must not keep a
 * kubelet from its images.
 */
export class Listeners {
  readonly #options: ListenersOptions
  readonly #kept = new Map<string, RetryingListener>()

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  /** Opens it as soon as that can be. @param open as in RetryingListenerOptions */
  keep(name: string, open: () => Promise<OpenServer>): void {
    const door = new RetryingListener({ name, open, logger: this.#options.logger })
    this.#kept.set(name, door)
    void door.keep()
  }

  state(name: string): ListenerState {
    return this.#kept.get(name)?.state ?? { door: name, open: false }
  }

  /** Resolves when these are open, or closed for good, or when the time is up. */
  async settled(names: readonly string[], limitMs: number): Promise<void> {
    let cancel = (): void => {}
    const timeUp = new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(limitMs, resolve)
    })
    await Promise.race([Promise.all(names.map((name) => this.#kept.get(name)?.keep())), timeUp])
    cancel()
  }

  /** One line: which are open, and why the others are not. */
  status(): string {
    return [...this.#kept.values()]
      .map(({ state: { door, open, reason } }) => (open ? `${door} is open` : `${door}: ${reason}`))
      .join('; ')
  }

  /** In the reverse order of opening. */
  async close(): Promise<void> {
    for (const door of [...this.#kept.values()].reverse()) await door.close()
  }
}

const RETRY_MS = 500

export interface OpenServer {
  /** Why nobody can come in after all, at this moment; absent or undefined: they can. */
  unavailableReason?(): string | undefined
  close(): Promise<unknown>
}

interface RetryingListenerOptions {
  /** How logs and readiness call it. */
  readonly name: string
  /** @throws ResolveError saying what keeps it closed */
  readonly open: () => Promise<OpenServer>
  readonly logger: Pick<Logger, 'warn'>
  /** Between two attempts, in milliseconds. Default 500. */
  readonly retryMs?: number
}

interface ListenerState {
  readonly door: string
  readonly open: boolean
  /** Why it is closed. */
  readonly reason?: string
}

/**
 * A door that is opened as soon as it can be: while the runtime is not up yet, while another
 * instance is still ending, while something is in the way, it is tried again and again. What keeps
 * it closed is logged once.
 */
class RetryingListener {
  readonly #options: RetryingListenerOptions
  readonly #stopped = new AbortController()
  #state: ListenerState
  #door: OpenServer | undefined
  #keeping: Promise<OpenServer | undefined> | undefined

  constructor(options: RetryingListenerOptions) {
    this.#options = options
    this.#state = { door: options.name, open: false, reason: 'starting' }
  }

  get state(): ListenerState {
    const reason = this.#door?.unavailableReason?.()
    return reason === undefined ? this.#state : { ...this.#state, open: false, reason }
  }

  /** Tries to open it, and goes on trying until it is open or closed for good; then it resolves. */
  async keep(): Promise<void> {
    this.#keeping ??= this.#keep()
    await this.#keeping
  }

  async close(): Promise<void> {
    this.#stopped.abort()
    const door = await this.#keeping
    await door?.close()
  }

  async #keep(): Promise<OpenServer | undefined> {
    const { name, open, logger, retryMs = RETRY_MS } = this.#options
    let told = ''
    while (!this.#stopped.signal.aborted) {
      try {
        const door = await open()
        this.#door = door
        this.#state = { door: name, open: true }
        return door
      } catch (thrown) {
        const reason = toResolveError(thrown).message
        this.#state = { door: name, open: false, reason }
        if (reason !== told)
          logger.warn({ door: name, reason }, 'a door stays closed; trying again')
        told = reason
      }
      await delay(retryMs, undefined, this.#stopped).catch(() => {})
    }
    return undefined
  }
}

/** Milliseconds: anybody may ask for readiness as often as they like, but not the runtime for that. */
const KEEP_MS = 100

interface ListenerReadinessOptions {
  readonly doors: Pick<Listeners, 'state'>
  /** The file names a CRI socket or a runtime. */
  readonly criExpected: boolean
  /** The runtime's socket, where there is one by now. */
  readonly runtimeSocket: () => string | undefined
  readonly runtimeAnswers: () => Promise<boolean>
  /** Milliseconds that only go forward. Default: performance.now. */
  readonly steady?: () => number
}

/**
 * Whether all is open that the configuration asks for, and the runtime behind it answers. What opens or
 * closes is told at once; only that the runtime has answered is believed for a moment, and it is asked
 * once for all who ask meanwhile.
 */
export class ListenerReadiness implements Readiness {
  readonly #options: ListenerReadinessOptions
  #asking: Promise<boolean> | undefined
  #answeredAt = Number.NEGATIVE_INFINITY

  constructor(options: ListenerReadinessOptions) {
    this.#options = options
  }

  /** The names of the doors that are asked for: CRI also where a runtime was found by itself. */
  wanted(): readonly string[] {
    const { criExpected, runtimeSocket } = this.#options
    return criExpected || runtimeSocket() !== undefined ? ['http', 'cri'] : ['http']
  }

  async check(): Promise<readonly DoorState[]> {
    const { doors, runtimeSocket } = this.#options
    const http = doors.state('http')
    if (!this.wanted().includes('cri')) return [http]
    const cri = doors.state('cri')
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
