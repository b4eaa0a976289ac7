const LIMIT_MS = 60_000
const PAUSE_MS = 5

/** Resolves when a condition holds; asked over and over, for a minute at most. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endAt = performance.now() + LIMIT_MS
  while (!(await holds())) {
    if (performance.now() > endAt) throw new Error('it never came to that')
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}
