import { setImmediate as turn } from 'node:timers/promises'

/**
 * Works on many things, on so many at one time, and gives the results in the order of the things,
 * each as soon as it and all before it are there. Who stops taking them stops the work. A thousand
 * answers out of a cache would keep everybody else waiting for a third of a second, so that each
 * begins in a turn of its own.
 *
 * @param work must not reject
 */
export async function* inOrder<T, R>(
  things: readonly T[],
  atOnce: number,
  work: (thing: T) => Promise<R>,
): AsyncGenerator<R> {
  const waiting = things.entries()
  const settle: ((result: R) => void)[] = []
  const results = things.map(
    () =>
      new Promise<R>((resolve) => {
        settle.push(resolve)
      }),
  )
  let wanted = true
  const worker = async (): Promise<void> => {
    for (const [index, thing] of waiting) {
      await turn()
      if (!wanted) return
      settle[index]?.(await work(thing))
    }
  }
  for (let each = 0; each < Math.min(atOnce, things.length); each += 1) void worker()
  try {
    for (const result of results) yield await result
  } finally {
    wanted = false
  }
}
