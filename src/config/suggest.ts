/**
 * The known name that the typed one most likely means, or undefined when none is near.
 * Case does not count; a swapped pair of letters counts as one mistake.
 */
export function nearestName(typed: string, known: readonly string[]): string | undefined {
  const allowed = Math.max(2, Math.floor(typed.length * 0.4))
  let nearest: string | undefined
  let least = allowed + 1
  for (const name of known) {
    // A name that much longer or shorter cannot be near, and need not be measured.
    if (Math.abs(name.length - typed.length) >= least) continue
    const mistakes = distance(typed.toLowerCase(), name.toLowerCase())
    if (mistakes < least) {
      least = mistakes
      nearest = name
    }
  }
  // Two mistakes turn any two-letter name into any other.
  return nearest !== undefined && least < typed.length ? nearest : undefined
}

/** Edits (insert, delete, replace, swap neighbours) between two texts: optimal string alignment. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current.push(
        Math.min(
          at(last, column) + 1,
          at(current, column - 1) + 1,
          at(last, column - 1) + (same ? 0 : 1),
          swapped ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    beforeLast = last
    last = current
  }
  return at(last, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
