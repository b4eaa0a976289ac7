import type { WalkRecord } from './record.ts'
import type { Candidate } from './types.ts'

/** Who of a walk's candidates is asked next. */
export class Lineup {
  readonly #candidates: readonly Candidate[]
  readonly #record: Pick<WalkRecord<unknown>, 'admits' | 'isSilent' | 'passedOver'>
  readonly #waiting: number[]
  readonly #resting: number[] = []

  constructor(
    candidates: readonly Candidate[],
    record: Pick<WalkRecord<unknown>, 'admits' | 'isSilent' | 'passedOver'>,
  ) {
    this.#candidates = candidates
    this.#record = record
    this.#waiting = candidates.map((_, index) => index)
  }

  /** Whether somebody's turn has not come. */
  get hasMore(): boolean {
    return this.#waiting.length > 0
  }

  /**
   * The next one that may be asked; those that may not are passed over.
   *
   * @param isWanted of one that is not, nobody's turn comes
   */
  next(isWanted: (candidate: Candidate) => boolean = () => true): number | undefined {
    for (let index = this.#waiting[0]; index !== undefined; index = this.#waiting[0]) {
      const candidate = this.candidate(index)
      if (!isWanted(candidate)) return undefined
      this.#waiting.shift()
      if (this.#record.admits(candidate)) return index
      this.passOver(index)
    }
    return undefined
  }

  /** It rests after a failure, and is kept for when nobody else has an answer. */
  passOver(index: number): void {
    if (this.#record.passedOver(this.candidate(index))) this.#resting.push(index)
  }

  /**
   * The next of those that rest.
   *
   * @param isDenied another one said no: those that rest for their silence are left alone then, since each
   * would cost its budget again
   */
  lastResort(isDenied = false): number | undefined {
    const isWanted = (index: number): boolean =>
      !isDenied || !this.#record.isSilent(this.candidate(index))
    const position = this.#resting.findIndex(isWanted)
    return position < 0 ? undefined : this.#resting.splice(position, 1)[0]
  }

  candidate(index: number): Candidate {
    return this.#candidates[index] as Candidate
  }
}
