import type { WalkRecord } from './record.ts'
import type { Candidate } from './types.ts'

/** Who of a walk's candidates is asked next. */
export class Lineup {
  readonly #candidates: readonly Candidate[]
  readonly #record: Pick<WalkRecord<unknown>, 'admits' | 'passedOver'>
  readonly #waiting: number[]
  readonly #resting: number[] = []

  constructor(
    candidates: readonly Candidate[],
    record: Pick<WalkRecord<unknown>, 'admits' | 'passedOver'>,
  ) {
    this.#candidates = candidates
    this.#record = record
    this.#waiting = candidates.map((_, index) => index)
  }

  /** Whether somebody's turn has not come. */
  get hasMore(): boolean {
    return this.#waiting.length > 0
  }

  /** The next one that may be asked; those that may not are passed over. */
  next(): number | undefined {
    for (let index = this.#waiting.shift(); index !== undefined; index = this.#waiting.shift()) {
      if (this.#record.admits(this.candidate(index))) return index
      this.passOver(index)
    }
    return undefined
  }

  /** It rests after a failure, and is kept for when nobody else has an answer. */
  passOver(index: number): void {
    if (this.#record.passedOver(this.candidate(index))) this.#resting.push(index)
  }

  /** The next of those that rest. */
  lastResort(): number | undefined {
    return this.#resting.shift()
  }

  candidate(index: number): Candidate {
    return this.#candidates[index] as Candidate
  }
}
