import { readFileSync } from 'node:fs'

/** CLK_TCK, which is this on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Resident memory of a process, in MiB. */
export function residentMiB(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`)
  return Number(kibibytes) / 1024
}

/** Processor time that a process has taken so far, in seconds, in steps of 10 ms. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold anything, brackets and spaces too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}
