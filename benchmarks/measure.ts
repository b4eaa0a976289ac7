import { readFileSync } from 'node:fs'
import type { Cleanup } from '../test/support/stack.ts'

/** One line of the table. */
export interface Measurement {
  readonly what: string
  readonly unit: string
  readonly budget: number
  /** Whether the budget is the most or the least that is allowed. */
  readonly bound: 'at most' | 'at least'
  readonly measured: number
}

export function isKept({ bound, budget, measured }: Measurement): boolean {
  return bound === 'at most' ? measured <= budget : measured >= budget
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[sorted.length >> 1]
  if (value === undefined) throw new Error('nothing was measured')
  return value
}

/** Of a process, in MiB. */
export function residentMiB(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`)
  return Number(kibibytes) / 1024
}

/** Runs something and then, in reverse order, all that it registered to be ended. */
export async function cleanly<T>(run: (cleanup: Cleanup) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = []
  try {
    return await run({ after: (end) => ends.push(end) })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}
