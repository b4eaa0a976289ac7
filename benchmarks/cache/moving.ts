/** Which image a tag leads to: some tags are moved now and then, most never. */
export interface Moving {
  /** One tag in so many moves at all: `latest` and its like. */
  readonly oneIn: number
  readonly everyMs: number
}

/** @returns the number of times that the tag has moved by then */
export function versionOf(tag: number, atMs: number, { everyMs, oneIn }: Moving): number {
  if (tag % oneIn !== 0) return 0
  // Not all at one time.
  const offsetMs = ((tag * 2_654_435_761) % 1_000_003) * (everyMs / 1_000_003)
  return Math.floor((atMs + offsetMs) / everyMs)
}
