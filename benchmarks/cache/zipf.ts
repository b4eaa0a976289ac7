/**
 * Ranks as popularity has them by Zipf's law: rank r comes up as often as 1 / (r + 1) ** s says.
 *
 * @param count of ranks
 * @returns 0 to count - 1, 0 the most popular
 */
export function zipf(count: number, s: number, random: () => number): () => number {
  const upTo = new Float64Array(count)
  let sum = 0
  for (let rank = 0; rank < count; rank += 1) {
    sum += (rank + 1) ** -s
    upTo[rank] = sum
  }
  return () => {
    const wanted = random() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((upTo[middle] ?? sum) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}
