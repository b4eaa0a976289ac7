/** What several rounds gave. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** @throws RangeError when there are none */
export function spread(values: readonly number[]): Spread {
  const sorted = ascending(values)
  const [min] = sorted
  const max = sorted.at(-1)
  if (min === undefined || max === undefined) throw new RangeError('nothing was measured')
  const middle = (sorted.length - 1) / 2
  const low = sorted[Math.floor(middle)] ?? min
  const high = sorted[Math.ceil(middle)] ?? max
  return { median: (low + high) / 2, min, max }
}

export function median(values: readonly number[]): number {
  return spread(values).median
}

/**
 * The smallest value that this part of all values does not exceed (nearest rank).
 *
 * @param part 0 to 1
 * @throws RangeError when there are none
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = ascending(values)
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]
  if (value === undefined) throw new RangeError('nothing was measured')
  return value
}

function ascending(values: readonly number[]): readonly number[] {
  return [...values].sort((a, b) => a - b)
}
