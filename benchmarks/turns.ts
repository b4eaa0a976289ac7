import type { Settings } from './report.ts'

/**
 * Lets every side have its turn in each round, in the reverse order every other round, so that a
 * machine that grows faster or slower does so for all of them.
 *
 * @returns by side, what its rounds gave, in the order of the rounds
 */
export async function inTurns<Side, T>(
  sides: readonly Side[],
  rounds: Iterable<number>,
  measure: (side: Side, round: number) => Promise<T>,
): Promise<ReadonlyMap<Side, readonly T[]>> {
  const results = new Map<Side, T[]>(sides.map((side) => [side, []]))
  for (const round of rounds) {
    const order = round % 2 === 0 ? sides : [...sides].reverse()
    for (const side of order) results.get(side)?.push(await measure(side, round))
  }
  return results
}

/** Rounds for as long as there is time: a slow machine gets fewer of them, and the page says so. */
export class Pace implements Settings {
  readonly quick: boolean
  readonly #targetMs: number
  readonly #now: () => number
  readonly #began: number
  #left = 0

  /** @param now milliseconds of any clock that does not run backwards */
  constructor(quick: boolean, targetSeconds: number, now: () => number) {
    this.quick = quick
    this.#targetMs = targetSeconds * 1_000
    this.#now = now
    this.#began = now()
  }

  /** One in any case, and no further one once the time is up; a quick look has one. */
  *rounds(wanted: number): Generator<number> {
    for (let round = 0; round < (this.quick ? 1 : wanted); round += 1) {
      if (round > 0 && this.#now() - this.#began > this.#targetMs) {
        this.#left += wanted - round
        return
      }
      yield round
    }
  }

  /** What was left out for want of time, in words; undefined: nothing. */
  shortage(): string | undefined {
    if (this.#left === 0) return undefined
    const rounds = this.#left === 1 ? 'one further round' : `${this.#left} further rounds`
    return `${rounds}: the machine was too slow, or busy with something else`
  }
}
