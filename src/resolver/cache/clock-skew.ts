/** What two clocks that are read one after the other may differ by without meaning anything. */
const TOLERANCE_MS = 100

/** Notices that the clock on the wall was set back, which would make everything known look younger. */
export class ClockSkew {
  readonly #now: () => number
  readonly #steady: () => number
  /** The most by which the wall was ahead of the steady clock. */
  #ahead: number

  /** @param steady a clock that nobody sets; one that stands still does, as long as somebody looks */
  constructor(now: () => number, steady: () => number) {
    this.#now = now
    this.#steady = steady
    this.#ahead = now() - steady()
  }

  /**
   * Milliseconds by which it was set back since the last look, rounded up; nearly always 0.
   *
   * @param now read a moment ago
   */
  byMs(now: number): number {
    if (this.#behindMs(now) <= TOLERANCE_MS) return 0
    // A process that was made to wait between the two clocks looks the same; hardly ever twice.
    const byMs = this.#behindMs(this.#now())
    if (byMs <= TOLERANCE_MS) return 0
    this.#ahead -= byMs
    return Math.ceil(byMs)
  }

  #behindMs(now: number): number {
    const ahead = now - this.#steady()
    // Set forward: all grows old at once, which is safe, and a node that slept has aged indeed.
    this.#ahead = Math.max(this.#ahead, ahead)
    return this.#ahead - ahead
  }
}
