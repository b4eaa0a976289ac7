import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import type { Machine } from './report.ts'

/** Where the figures come from; not whose machine it is. */
export function thisMachine(): Machine {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? 'unknown CPU',
    cpus: all.length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()}`,
    node: process.version,
    commit: commit(),
  }
}

/** Results are of the tree that is measured, so that those of an earlier run do not count as changes. */
function commit(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    const isChanged = git('status', '--porcelain', '--', 'src', 'api', 'package-lock.json') !== ''
    return git('rev-parse', '--short', 'HEAD') + (isChanged ? '+' : '')
  } catch {
    return 'unknown'
  }
}

/** CLK_TCK, which is this on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Resident memory of a process, in MiB. */
export function residentMiB(pid: number): number {
  return memoryMiB(pid, 'VmRSS')
}

/** The most that was resident so far, in MiB. */
export function peakMemoryMiB(pid: number): number {
  return memoryMiB(pid, 'VmHWM')
}

function memoryMiB(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no ${name}`)
  return Number(kibibytes) / 1024
}

/** Processor time that a process has taken so far, in seconds, in steps of 10 ms. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold anything, brackets and spaces too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}
