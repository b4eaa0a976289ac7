/** Two clocks that are read one after the other may differ by this. */
const TOLERANCE_MS = 100

/** Notices that the wall clock was set back, which would make every entry look younger. */
export class ClockSkew {
  readonly #now: () => number
  readonly #steady: () => number
  /** The most by which the wall clock was ahead of the monotonic one. */
  #ahead: number

  /** @param steady a monotonic clock; a constant notices steps between two calls of byMs */
  constructor(now: () => number, steady: () => number) {
    this.#now = now
    this.#steady = steady
    this.#ahead = now() - steady()
  }

  /**
   * Milliseconds by which it was set back since the last call, rounded up; nearly always 0.
   *
   * @param now of the wall clock
   */
  byMs(now: number): number {
    if (this.#behindMs(now) <= TOLERANCE_MS) return 0
    // A process that is suspended between the two clocks looks the same, but hardly ever twice.
    const byMs = this.#behindMs(this.#now())
    if (byMs <= TOLERANCE_MS) return 0
    this.#ahead -= byMs
    return Math.ceil(byMs)
  }

  #behindMs(now: number): number {
    const ahead = now - this.#steady()
    // Set forward, entries only expire early; after a suspended node they are that old.
    this.#ahead = Math.max(this.#ahead, ahead)
    return this.#ahead - ahead
  }
}
