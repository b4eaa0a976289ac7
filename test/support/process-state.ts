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

/**
 * For how long the main thread of a process was ready to run while others had the processors, since its start; 0 when it
 * has ended.
 */
export function queuedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
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
