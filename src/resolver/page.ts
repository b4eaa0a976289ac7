import type { Attempt, ResolveError } from '../errors.ts'
import type { Exchange } from '../registry/image.ts'
import type { Candidate } from './types.ts'

/** What became of one candidate so far, and how long it was asked. Times are milliseconds of one clock. */
export class Page {
  readonly candidate: Candidate
  readonly exchanges: Exchange[] = []
  attempt: Attempt | undefined
  error: ResolveError | undefined
  /** undefined: not asked. */
  #startedAt: number | undefined
  #inLineSince: number | undefined
  /** Since it started. */
  #inLineMs = 0

  constructor(candidate: Candidate) {
    this.candidate = candidate
  }

  get startedAt(): number | undefined {
    return this.#startedAt
  }

  begin(now: number): void {
    this.#startedAt = now
    this.#inLineSince = undefined
    this.#inLineMs = 0
    this.attempt = undefined
    this.error = undefined
  }

  wait(now: number): void {
    this.#inLineSince = now
  }

  /** Before the first request the waiting is not even a part of it. */
  enter(now: number): void {
    if (this.#inLineSince === undefined) return
    if (this.exchanges.length === 0) this.#startedAt = now
    else this.#inLineMs += now - this.#inLineSince
    this.#inLineSince = undefined
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

  /** How long it has been in line; undefined: it is not, or was asked something before. */
  unaskedMs(now: number): number | undefined {
    if (this.#inLineSince === undefined || this.exchanges.length > 0) return undefined
    return now - this.#inLineSince
  }
}
