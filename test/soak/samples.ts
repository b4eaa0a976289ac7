import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProgramHeap } from '../support/heap.ts'
import { processState } from '../support/process-state.ts'

/** What the service holds at a moment. */
export interface Sample {
  readonly seconds: number
  readonly descriptors: number
  readonly sockets: number
  /** As Linux sees it, garbage and all. */
  readonly residentMiB: number
  /** After the last garbage collection that was asked for. */
  readonly liveMiB: number
}

/**
 * What may be more in the last fifth of the time than in the middle one, by the medians. Before that
 * caches are filled and code is compiled. Memory that is not given back, and the calls that happen
 * to be under way, go up and down; what leaks goes up for as long as one looks.
 */
const GROWTH = { descriptors: 12, sockets: 12, residentMiB: 20, liveMiB: 3 } as const
const FIFTHS = 5
const MIDDLE = 2
/** So often garbage is collected, which takes some 50 ms of the service each time. */
const SAMPLES_PER_COLLECTION = 5

export function takeSample(pid: number, startedAt: number, liveMiB: number): Sample {
  const { descriptors, residentMiB } = processState(pid)
  const folder = `/proc/${pid}/fd`
  const sockets = readdirSync(folder).filter((fd) => isSocket(`${folder}/${fd}`)).length
  const seconds = (performance.now() - startedAt) / 1_000
  return { seconds, descriptors, sockets, residentMiB, liveMiB }
}

/** Every so often until the signal aborts. */
export async function takeSamples(
  pid: number,
  heap: ProgramHeap,
  everyMs: number,
  signal: AbortSignal,
): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  const startedAt = performance.now()
  let liveMiB = 0
  while (!signal.aborted) {
    if (samples.length % SAMPLES_PER_COLLECTION === 0) liveMiB = await heap.liveMiB()
    samples.push(takeSample(pid, startedAt, liveMiB))
    await sleep(everyMs, undefined, { signal }).catch(() => {})
  }
  return samples
}

/**
 * The medians of each fifth of the time; of the live heap the least, since calls and configurations
 * that are on their way out hold up to some 5 MiB more at one moment than at the next.
 */
export function fifths(samples: readonly Sample[]): readonly Sample[] {
  return Array.from({ length: FIFTHS }, (_, n) => {
    const at = (part: number) => Math.floor((samples.length * part) / FIFTHS)
    const part = samples.slice(at(n), at(n + 1))
    const median = (field: keyof Sample): number => {
      const sorted = part.map((sample) => sample[field]).sort((one, other) => one - other)
      return sorted[sorted.length >> 1] ?? Number.NaN
    }
    return {
      seconds: median('seconds'),
      descriptors: median('descriptors'),
      sockets: median('sockets'),
      residentMiB: median('residentMiB'),
      liveMiB: Math.min(...part.map(({ liveMiB }) => liveMiB)),
    }
  })
}

/** What has grown by more than it may. */
export function growthProblems(parts: readonly Sample[]): readonly string[] {
  return Object.entries(GROWTH).flatMap(([name, most]) => {
    const field = name as keyof typeof GROWTH
    const [middle = Number.NaN, late = Number.NaN] = [parts[MIDDLE]?.[field], parts.at(-1)?.[field]]
    // Also where there was nothing to measure.
    if (late - middle <= most) return []
    return [`${field} grew from ${middle.toFixed(1)} to ${late.toFixed(1)}, by more than ${most}`]
  })
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:')
  } catch {
    return false
  }
}
