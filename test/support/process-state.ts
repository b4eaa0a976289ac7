import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const MIB = 1024

/** A process as Linux sees it. */
export interface ProcessState {
  readonly residentMiB: number
  /** The most that it ever was. */
  readonly peakMiB: number
  readonly descriptors: number
}

export function processState(pid: number): ProcessState {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kibibytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])
  return {
    residentMiB: kibibytes('VmRSS') / MIB,
    peakMiB: kibibytes('VmHWM') / MIB,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }
}

/** Whether it comes true in time; asked over and over. */
export async function within(
  ms: number,
  isTrue: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const limit = performance.now() + ms
  while (!(await isTrue())) {
    if (performance.now() > limit) return false
    await sleep(20)
  }
  return true
}
