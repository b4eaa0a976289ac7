/** Upper ends of the buckets in milliseconds: what a cache hit takes up to what nobody waits for. */
const BOUNDS_MS: readonly number[] = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000,
  10_000, 20_000, 60_000,
]

/** Durations by size; recording one costs some nanoseconds, as the answers of a cache want it. */
export class Histogram {
  readonly #counts = new Float64Array(BOUNDS_MS.length + 1)
  #sumMs = 0
  #count = 0

  record(ms: number): void {
    let bucket = 0
    while (bucket < BOUNDS_MS.length && ms > (BOUNDS_MS[bucket] as number)) bucket += 1
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sumMs += ms
    this.#count += 1
  }

  get count(): number {
    return this.#count
  }

  get sumMs(): number {
    return this.#sumMs
  }

  /** How many took at most so long, for each bound; the last one (Infinity) is the count. */
  cumulative(): readonly { readonly boundMs: number; readonly count: number }[] {
    let sum = 0
    return [...BOUNDS_MS, Number.POSITIVE_INFINITY].map((boundMs, bucket) => {
      sum += this.#counts[bucket] ?? 0
      return { boundMs, count: sum }
    })
  }

  /**
   * Estimated as lying evenly within its bucket, as Prometheus' `histogram_quantile` does.
   *
   * @param quantile 0 to 1
   * @returns undefined while nothing was recorded; at most the highest bound
   */
  quantileMs(quantile: number): number | undefined {
    if (this.#count === 0) return undefined
    const rank = quantile * this.#count
    let below = 0
    for (const [bucket, boundMs] of BOUNDS_MS.entries()) {
      const inside = this.#counts[bucket] ?? 0
      if (inside > 0 && below + inside >= rank) {
        const lowMs = BOUNDS_MS[bucket - 1] ?? 0
        return lowMs + (boundMs - lowMs) * ((rank - below) / inside)
      }
      below += inside
    }
    return BOUNDS_MS.at(-1)
  }
}
