import type { DoorState, Readiness } from './types.ts'

/** Shorter than anybody's probes are apart. */
const KEEP_MS = 1_000

/**
 * Looks at the doors once for all who ask at one time, and for a moment longer: anybody may ask, and
 * as often as he likes, but the runtime behind them has other things to do.
 */
export class KeptReadiness implements Readiness {
  readonly #readiness: Readiness
  readonly #now: () => number
  #look: Promise<readonly DoorState[]> | undefined
  #endedAt: number | undefined

  constructor(readiness: Readiness, now: () => number) {
    this.#readiness = readiness
    this.#now = now
  }

  check(): Promise<readonly DoorState[]> {
    if (this.#look === undefined || this.#isOld()) this.#look = this.#begin()
    return this.#look
  }

  #isOld(): boolean {
    if (this.#endedAt === undefined) return false
    const now = this.#now()
    return now - this.#endedAt >= KEEP_MS || now < this.#endedAt
  }

  async #begin(): Promise<readonly DoorState[]> {
    this.#endedAt = undefined
    try {
      const states = await this.#readiness.check()
      this.#endedAt = this.#now()
      return states
    } catch (thrown) {
      this.#look = undefined
      throw thrown
    }
  }
}
