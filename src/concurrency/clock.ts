import { onAbort } from './abortable.ts'

/** Time as the resolver sees it, so that tests can own it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once after that many milliseconds; the answer cancels it. */
  after(ms: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/** Resolves after so long, or when the signal ends. */
export function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, end)
    const stop = onAbort(signal, end)
    if (signal.aborted) end()
    function end(): void {
      cancel()
      stop()
      resolve()
    }
  })
}

/** @returns what the work leads to; undefined: not within that time, and it goes on */
export function atMost<T>(ms: number, clock: Clock, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(undefined))
    work.finally(cancel).then(resolve, reject)
  })
}

/**
 * Does something again and again, each time so long after the end of the time before.
 *
 * @param work never throws or rejects
 * @returns what ends that
 */
export function repeat(ms: number, clock: Clock, work: () => unknown): () => void {
  let isOver = false
  let cancel = (): void => {}
  const next = (): void => {
    if (isOver) return
    cancel = clock.after(ms, () => {
      const done = work()
      if (done instanceof Promise) void done.finally(next)
      else next()
    })
  }
  next()
  return () => {
    isOver = true
    cancel()
  }
}
