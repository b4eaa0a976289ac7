import type { Cell } from './report.ts'
import { percentile, spread } from './statistics.ts'

/** What one round of a path gave. */
export interface Sample {
  readonly ms: readonly number[]
  /** Requests that one call sent to registries. */
  readonly requests: number
}

export interface Sampling {
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
