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

/** Two clocks that are read one after the other may differ by this. */
const TOLERANCE_MS = 100

/** Notices that the wall clock was set back, which would make every entry look younger. */
export class ClockSkew {
  readonly #now: () => number
  readonly #steady: () => number
  /** The most by which the wall clock was ahead of the monotonic one. */
  #ahead: number

  /** @param steady a monotonic clock; a constant notices steps between two calls of byMs */
  constructor(now: () => number, steady: () => number) {
    this.#now = now
    this.#steady = steady
    this.#ahead = now() - steady()
  }

  /**
   * Milliseconds by which it was set back since the last call, rounded up; nearly always 0.
   *
   * @param now of the wall clock
   */
  byMs(now: number): number {
    if (this.#behindMs(now) <= TOLERANCE_MS) return 0
    // A process that is suspended between the two clocks looks the same, but hardly ever twice.
    const byMs = this.#behindMs(this.#now())
    if (byMs <= TOLERANCE_MS) return 0
    this.#ahead -= byMs
    return Math.ceil(byMs)
  }

  #behindMs(now: number): number {
    const ahead = now - this.#steady()
    // Set forward, entries only expire early; after a suspended node they are that old.
    this.#ahead = Math.max(this.#ahead, ahead)
    return this.#ahead - ahead
  }
}
