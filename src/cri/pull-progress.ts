import type { Logger } from '../telemetry/logger.ts'

/** Most pulls take less, and say so by themselves when they end. */
const LONG_MS = 10_000

export interface PullProgressOptions {
  readonly log: Pick<Logger, 'info'>
  /** From when on a pull is told of, in milliseconds. Default 10,000. */
  readonly longMs?: number
  /** Milliseconds of a clock that never jumps. */
  readonly now?: () => number
}

/** The pulls under way. One that takes long is told of once while it runs, and when it ends. */
export class PullProgress {
  readonly #options: PullProgressOptions
  #inFlight = 0

  constructor(options: PullProgressOptions) {
    this.#options = options
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** @param image as it was asked for */
  async watch<T>(image: string, pull: () => Promise<T>): Promise<T> {
    const { log, longMs = LONG_MS, now = () => performance.now() } = this.#options
    const startedAt = now()
    const seconds = (): number => Math.round((now() - startedAt) / 1000)
    const timer = setTimeout(() => log.info({ image, seconds: seconds() }, 'still pulling'), longMs)
    let isPulled = false
    this.#inFlight += 1
    try {
      const pulled = await pull()
      isPulled = true
      return pulled
    } finally {
      clearTimeout(timer)
      this.#inFlight -= 1
      if (now() - startedAt >= longMs) {
        log.info({ image, seconds: seconds(), ok: isPulled }, 'a long pull ended')
      }
    }
  }
}
