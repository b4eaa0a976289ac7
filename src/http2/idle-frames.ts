import { ConnectionError } from './errors.ts'
import { ERROR_CODE } from './frames.ts'
import { LIMITS } from './limits.ts'

/**
 * How many frames a client may still send that bring no call forward. Such frames cost the client
 * nothing, so a flood of them is cut off. A client that is answered earns them back, and so does time.
 */
export class IdleFrames {
  readonly #now: () => number
  #left: number = LIMITS.idleFrames
  #refilledAt: number

  /** @param now milliseconds of a monotonic clock */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#refilledAt = now()
  }

  /** @throws ConnectionError ENHANCE_YOUR_CALM: it was one too many */
  spend(): void {
    if (this.#left === 0) this.#refill()
    if (this.#left === 0) {
      const message = 'too many frames that bring no call forward'
      throw new ConnectionError(ERROR_CODE.enhanceYourCalm, message)
    }
    this.#left -= 1
  }

  /** A frame of an answer goes out. */
  earn(): void {
    this.#left = Math.min(this.#left + LIMITS.idleFramesPerAnswer, LIMITS.idleFrames)
  }

  #refill(): void {
    const now = this.#now()
    const earned = Math.floor(((now - this.#refilledAt) * LIMITS.idleFramesPerSecond) / 1_000)
    if (earned === 0) return
    this.#refilledAt = now
    this.#left = Math.min(earned, LIMITS.idleFrames)
  }
}
