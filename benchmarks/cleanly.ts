import type { Cleanup } from '../test/support/stack.ts'

/** Runs something and then, in reverse order, all that it registered to be ended. */
export async function cleanly<T>(run: (cleanup: Cleanup) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = []
  const endAll = async (): Promise<void> => {
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end()
  }
  open.add(endAll)
  try {
    return await run({ after: (end) => ends.push(end) })
  } finally {
    open.delete(endAll)
    await endAll()
  }
}

const open = new Set<() => Promise<void>>()

/** For who is told to end in the middle: the same for everything that is still under way. */
export async function endEverything(): Promise<void> {
  for (const endAll of [...open].reverse()) await endAll()
}
