import type { Wait } from '../concurrency/semaphore.ts'
import type { Attempt, ResolveError } from '../errors.ts'
import type { Exchange } from '../registry/image.ts'
import type { Candidate } from './types.ts'

/** What became of one candidate so far, and how long it was asked. Times are milliseconds of one clock. */
export class CandidateTrace {
  readonly candidate: Candidate
  readonly exchanges: Exchange[] = []
  attempt: Attempt | undefined
  error: ResolveError | undefined
  /** What it says the reference points at, where it was not asked for more. */
  named: string | undefined
  /** It was asked although it had failed before. */
  isDoubted = false
  /** undefined: not asked. */
  #startedAt: number | undefined
  #inLineSince: number | undefined
  #waits: Wait = 'in line'
  /** Since it started. */
  #inLineMs = 0
  /** When it was asked or answered something last, moved on by the time in line since. */
  #progressAt = 0

  constructor(candidate: Candidate) {
    this.candidate = candidate
  }

  get startedAt(): number | undefined {
    return this.#startedAt
  }

  begin(now: number): void {
    this.#startedAt = now
    this.#progressAt = now
    this.#inLineSince = undefined
    this.#inLineMs = 0
    this.attempt = undefined
    this.error = undefined
    this.isDoubted = false
  }

  wait(now: number, what: Wait = 'in line'): void {
    this.#waits = what
    this.#inLineSince = now
  }

  /** Before the first request the waiting is not even a part of it. */
  enter(now: number): void {
    if (this.#inLineSince === undefined) return
    const waitedMs = now - this.#inLineSince
    if (this.exchanges.length === 0) this.#startedAt = now
    else this.#inLineMs += waitedMs
    this.#progressAt += waitedMs
    this.#inLineSince = undefined
  }

  /** A request for its sake was answered: a token, an index, a manifest. */
  progress(now: number): void {
    this.#progressAt = now
  }

  /** Of silence: since it was asked or last made progress, the time in line left out. */
  silentMs(now: number): number {
    return (this.#inLineSince ?? now) - this.#progressAt
  }

  /** It was not asked after all. */
  skip(message: string): void {
    const { registry } = this.candidate
    this.#startedAt = undefined
    this.attempt = { registry, step: 'connect', outcome: 'skipped', ms: 0, message }
  }

  /** Of asking it, the time in line left out. */
  spentMs(now: number): number {
    if (this.#startedAt === undefined) return 0
    return (this.#inLineSince ?? now) - this.#startedAt - this.#inLineMs
  }

  /** What it waits for, or waited for last. */
  get waits(): Wait {
    return this.#waits
  }

  /** How long it has waited; undefined: it is not, or was asked something before. */
  unaskedMs(now: number): number | undefined {
    if (this.#inLineSince === undefined || this.exchanges.length > 0) return undefined
    return now - this.#inLineSince
  }
}
