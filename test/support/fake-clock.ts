import type { Clock } from '../../src/concurrency/clock.ts'

/** A clock that stands still until the test moves it. */
export class FakeClock implements Clock {
  readonly #settle: () => Promise<void>
  #now = 1_000_000
  #timers: { readonly at: number; readonly callback: () => void }[] = []

  /** @param settled lets what the test waits for come to rest; default: promises */
  constructor(settled = settle) {
    this.#settle = settled
  }

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Moves on, rings what is due in order, and lets promises settle before and after each. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms
    await this.#settle()
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= target).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
      await this.#settle()
    }
    this.#now = target
    await this.#settle()
  }

  get pendingTimers(): number {
    return this.#timers.length
  }
}

/** Lets everything that is already settled run its course. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
}
