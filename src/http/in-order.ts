import { setImmediate as turn } from 'node:timers/promises'

/**
 * Begins work on many things and gives the results in the order of the things, each as soon as it and
 * all before it are there. Each begins in a turn of its own: a thousand answers out of a cache at once
 * would keep all other clients waiting for a third of a second.
 *
 * @param ahead results at most that wait for one before them, or for the reader
 * @param work must not reject, and limits by itself how much of it is done at once
 */
export async function* inOrder<T, R>(
  things: readonly T[],
  ahead: number,
  work: (thing: T) => Promise<R>,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = []
  for (const thing of things) {
    await turn()
    begun.push(work(thing))
    const first = begun.length < ahead ? undefined : begun.shift()
    if (first !== undefined) yield await first
  }
  for (const each of begun) yield await each
}
