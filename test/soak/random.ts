/** The same numbers for the same seed. */
export interface Random {
  between(least: number, most: number): number
  one<T>(of: readonly T[]): T
}

/** Mulberry32, which is good enough for the weather. */
export function createRandom(seed: number): Random {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    between: (least, most) => least + next() * (most - least),
    one: (of) => of[Math.floor(next() * of.length)] as (typeof of)[number],
  }
}
