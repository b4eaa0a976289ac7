import type { Clock } from '../concurrency/clock.ts'
import { toResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'

interface PauseImageOptions {
  /** As people write it. */
  readonly reference: string
  readonly answers: { answer(input: string, options: { refresh: boolean }): Promise<unknown> }
  readonly clock: Clock
  /** Between two questions, in milliseconds; 0: asked once. */
  readonly intervalMs: number
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/**
 * Resolved at the start and again before its answer expires, so that it is known when every registry
 * is down: without its sandbox image a node starts no pod. A failure is told once, until it works again.
 */
export class PauseImage {
  readonly #options: PauseImageOptions
  #cancel = (): void => {}
  #closed = false
  #failed = false

  constructor(options: PauseImageOptions) {
    this.#options = options
  }

  /** Resolves when it was asked for once. Never rejects. */
  async start(): Promise<void> {
    const { answers, clock, intervalMs, logger, reference } = this.#options
    try {
      await answers.answer(reference, { refresh: true })
      if (this.#failed) logger.info({ reference }, 'the sandbox image is resolved again')
      this.#failed = false
    } catch (thrown) {
      const { code, message } = toResolveError(thrown)
      if (!this.#failed) {
        logger.warn({ reference, code, reason: message }, 'could not resolve the sandbox image')
      }
      this.#failed = true
    }
    if (this.#closed || intervalMs === 0) return
    this.#cancel = clock.after(intervalMs, () => void this.start())
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }
}
