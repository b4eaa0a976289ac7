import type { Cell } from './report.ts'

/** What several rounds gave. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** @throws RangeError when there are none */
export function spread(values: readonly number[]): Spread {
  const sorted = ascending(values)
  const [min] = sorted
  const max = sorted.at(-1)
  if (min === undefined || max === undefined) throw new RangeError('nothing was measured')
  const middle = (sorted.length - 1) / 2
  const low = sorted[Math.floor(middle)] ?? min
  const high = sorted[Math.ceil(middle)] ?? max
  return { median: (low + high) / 2, min, max }
}

export function median(values: readonly number[]): number {
  return spread(values).median
}

/**
 * The smallest value that this part of all values does not exceed (nearest rank).
 *
 * @param part 0 to 1
 * @throws RangeError when there are none
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = ascending(values)
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]
  if (value === undefined) throw new RangeError('nothing was measured')
  return value
}

function ascending(values: readonly number[]): readonly number[] {
  return [...values].sort((a, b) => a - b)
}

/** What one round of a path gave. */
export interface Sample {
  readonly ms: readonly number[]
  /** Requests that one call sent to registries. */
  readonly requests: number
}

interface Sampling {
  readonly calls: number
  /** Before the first that counts: connections are opened, code is compiled. */
  readonly warmUp?: number
  readonly call: (index: number) => Promise<unknown>
  readonly requests?: () => Promise<number>
}

/** One call after the other. */
export async function sample({ call, calls, requests, warmUp = 0 }: Sampling): Promise<Sample> {
  for (let index = 0; index < warmUp; index += 1) await call(index)
  const before = (await requests?.()) ?? 0
  const ms = new Array<number>(calls)
  for (let index = 0; index < calls; index += 1) {
    const began = performance.now()
    await call(warmUp + index)
    ms[index] = performance.now() - began
  }
  const sent = ((await requests?.()) ?? 0) - before
  return { ms, requests: sent / calls }
}

/** Median of the rounds' p50 with the lowest and highest, p99 over all calls, requests of one call. */
export function sampleCells(rounds: readonly Sample[], unitsPerMs: number): readonly Cell[] {
  const all = rounds.flatMap(({ ms }) => ms)
  return [
    spread(rounds.map(({ ms }) => percentile(ms, 0.5) * unitsPerMs)),
    percentile(all, 0.99) * unitsPerMs,
    spread(rounds.map(({ requests }) => requests)),
  ]
}

/** Median of the rounds' p50, in ms. */
export function typicalMs(rounds: readonly Sample[]): number {
  return spread(rounds.map(({ ms }) => percentile(ms, 0.5))).median
}
