import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { processState } from '../support/process-state.ts'

export interface Sample {
  readonly seconds: number
  readonly descriptors: number
  readonly sockets: number
  readonly residentMiB: number
}

/** What may be more in the last fifth of the time than in the second, by the medians. */
const GROWTH = { descriptors: 12, sockets: 12, residentMiB: 40 } as const
const FIFTHS = 5

export function takeSample(pid: number, startedAt: number): Sample {
  const { descriptors, residentMiB } = processState(pid)
  const folder = `/proc/${pid}/fd`
  const sockets = readdirSync(folder).filter((fd) => isSocket(`${folder}/${fd}`)).length
  return { seconds: (performance.now() - startedAt) / 1_000, descriptors, sockets, residentMiB }
}

/** Every so often until the signal aborts. */
export async function takeSamples(
  pid: number,
  everyMs: number,
  signal: AbortSignal,
): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  const startedAt = performance.now()
  while (!signal.aborted) {
    samples.push(takeSample(pid, startedAt))
    await sleep(everyMs, undefined, { signal }).catch(() => {})
  }
  return samples
}

/** The medians of each fifth of the time. */
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
    }
  })
}

/** What has grown by more than it may. */
export function growthProblems(parts: readonly Sample[]): readonly string[] {
  return Object.entries(GROWTH).flatMap(([name, most]) => {
    const field = name as keyof typeof GROWTH
    const [early = Number.NaN, late = Number.NaN] = [parts[1]?.[field], parts.at(-1)?.[field]]
    // Also where there was nothing to measure.
    if (late - early <= most) return []
    return [`${field} grew from ${Math.round(early)} to ${Math.round(late)}, by more than ${most}`]
  })
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:')
  } catch {
    return false
  }
}
