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
