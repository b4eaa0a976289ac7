const LIMIT_MS = 5_000

/** Asks over and over, until the answer is yes; gives up after five seconds. In milliseconds. */
export async function until(question: () => Promise<boolean>): Promise<number> {
  const begunAt = performance.now()
  while (!(await question())) {
    if (performance.now() - begunAt > LIMIT_MS) throw new Error(`not within ${LIMIT_MS} ms`)
  }
  return performance.now() - begunAt
}

export async function works(call: () => Promise<unknown>): Promise<boolean> {
  return call().then(
    () => true,
    () => false,
  )
}
