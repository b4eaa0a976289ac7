import { setTimeout as delay } from 'node:timers/promises'
import { toResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/logger.ts'

const RETRY_MS = 500

export interface OpenDoor {
  /** Why nobody can come in after all, at this moment; absent or undefined: they can. */
  obstacle?(): string | undefined
  close(): Promise<unknown>
}

export interface KeptDoorOptions {
  /** How logs and readiness call it. */
  readonly name: string
  /** @throws ResolveError saying what keeps it closed */
  readonly open: () => Promise<OpenDoor>
  readonly logger: Pick<Logger, 'warn'>
  /** Between two attempts, in milliseconds. Default 500. */
  readonly retryMs?: number
}

export interface KeptDoorState {
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
export class KeptDoor {
  readonly #options: KeptDoorOptions
  readonly #stopped = new AbortController()
  #state: KeptDoorState
  #door: OpenDoor | undefined
  #keeping: Promise<OpenDoor | undefined> | undefined

  constructor(options: KeptDoorOptions) {
    this.#options = options
    this.#state = { door: options.name, open: false, reason: 'starting' }
  }

  get state(): KeptDoorState {
    const reason = this.#door?.obstacle?.()
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

  async #keep(): Promise<OpenDoor | undefined> {
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
