import { atMost, type Clock } from '../concurrency/clock.ts'
import type { RedisClient } from './redis-client.ts'

export interface ChangedMarksOptions {
  readonly client: Pick<RedisClient, 'delete'>
  readonly clock: Clock
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
}

/** No pull waits for it, so that a store that stalls has more time than a lookup gives it. */
const COMMAND_LIMIT_MS = 1_000
/** A registry waits for the answer to its notification, some for 5 s. */
const TELL_LIMIT_MS = 3_000
/** Between two attempts. */
const AGAIN_MS = 250
/** Lookups have to be sent beside them. */
const AT_ONCE = 100
/** Of events that wait for the store; a registry sends the others again. As many are told again after a failover. */
const MAX_MARKS = 10_000
/** A replica that is promoted may lack what its primary was told last. */
const REPEAT_MS = 60_000

/** The marks of tags that changed (see the script `look`), removed from the store as soon as it takes that. */
export class ChangedMarks {
  readonly #options: ChangedMarksOptions
  /** What the store is told when it has taken what is under way: a tag may change again meanwhile. */
  #next: Set<string> | undefined
  #work: Promise<void> = Promise.resolve()
  /** When the store was told last, oldest first. */
  readonly #told = new Map<string, number>()
  /** When it was told first of what it is told again, so that a store that comes and goes is not told for ever. */
  #again: ReadonlyMap<string, number> = new Map()
  #isClosed = false
  #wake = (): void => {}

  constructor(options: ChangedMarksOptions) {
    this.#options = options
  }

  /** @returns whether the store was told of all; false: it is told later, while this process lives, unless there are too many */
  async tell(marks: readonly string[]): Promise<boolean> {
    if (marks.length === 0) return true
    if ((this.#next?.size ?? 0) + marks.length > MAX_MARKS) return false
    return this.#tell(marks)
  }

  async #tell(marks: readonly string[]): Promise<boolean> {
    if (this.#isClosed) return false
    const next = this.#next ?? this.#begin()
    for (const mark of marks) next.add(mark)
    // Those of an event are of now.
    this.#again = new Map([...this.#again].filter(([mark]) => !next.has(mark)))
    const told = this.#work.then(() => !this.#isClosed)
    return (await atMost(TELL_LIMIT_MS, this.#options.clock, told)) ?? false
  }

  /** Tells the store again what it was told lately. */
  repeat(): void {
    const since = this.#options.steady() - REPEAT_MS
    const recent = new Map([...this.#told].filter(([, at]) => at >= since))
    this.#told.clear()
    this.#wake()
    if (recent.size > 0) void this.#tell([...recent.keys()])
    this.#again = recent
  }

  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  #begin(): Set<string> {
    const marks = new Set<string>()
    this.#next = marks
    this.#work = this.#work.then(() => {
      this.#next = undefined
      return this.#deliver(marks)
    })
    return marks
  }

  async #deliver(marks: Set<string>): Promise<void> {
    const { client, clock, steady } = this.#options
    while (!this.#isClosed) {
      const waiting = [...marks]
      while (waiting.length > 0) {
        const deleted = waiting.splice(0, AT_ONCE).map(async (mark) => {
          if (!(await client.delete(mark, COMMAND_LIMIT_MS))) return
          marks.delete(mark)
          this.#told.delete(mark)
          this.#told.set(mark, this.#again.get(mark) ?? steady())
        })
        await Promise.all(deleted)
      }
      const tooMany = Math.max(0, this.#told.size - MAX_MARKS)
      for (const mark of [...this.#told.keys()].slice(0, tooMany)) this.#told.delete(mark)
      if (marks.size === 0) return
      await new Promise<void>((resolve) => {
        const cancel = clock.after(AGAIN_MS, resolve)
        this.#wake = () => {
          cancel()
          resolve()
        }
      })
    }
  }
}
