/**
 * Works on what `things` yields, at most `atOnce` at one time, and yields the results in the order of the
 * things, each as soon as it and all before it are there. No more of `things` is read than is worked on,
 * so that an endless input takes no more memory than a short one.
 *
 * @param work must not reject
 * @throws what `things` throws
 */
export async function* inTurn<T, R>(
  things: AsyncIterable<T> | Iterable<T>,
  atOnce: number,
  work: (thing: T) => Promise<R>,
): AsyncGenerator<R> {
  const source = Symbol.asyncIterator in things ? things[Symbol.asyncIterator]() : each(things)
  const running: Promise<R>[] = []
  let next: Promise<IteratorResult<T>> | undefined = source.next()
  try {
    while (next !== undefined || running.length > 0) {
      const [oldest] = running
      const room: Promise<IteratorResult<T>> | undefined =
        running.length < atOnce ? next : undefined
      // Answers are printed before more input is read: the input may be typed.
      const arrived: IteratorResult<T> | undefined = await Promise.race([
        ...(oldest === undefined ? [] : [oldest.then(() => undefined)]),
        ...(room === undefined ? [] : [room]),
      ])
      if (arrived === undefined) {
        running.splice(0, 1)
        if (oldest !== undefined) yield await oldest
      } else if (arrived.done === true) next = undefined
      else {
        running.push(work(arrived.value))
        next = source.next()
      }
    }
  } finally {
    // Errors of a closed source are of no interest.
    next?.catch(() => undefined)
    await source.return?.()
  }
}

async function* each<T>(things: Iterable<T>): AsyncGenerator<T> {
  yield* things
}
