import { setTimeout as sleep } from 'node:timers/promises'

/** A lost connection is back about a quarter of a second after the runtime. */
const TRIES = 20
const PAUSE_MS = 100
/** No call waits longer than this for names to be repaired. */
const LIMIT_MS = 5_000

export interface NameRepair {
  /** There may be something to repair. */
  needed(): void
  /** As ImageNames.settle. */
  settle(isPatient: boolean): Promise<void> | undefined
}

/**
 * Runs repairs when they are needed, once for all callers. They are needed at the start: the last process
 * may have ended in the middle of a pull.
 *
 * @param work rejects while the runtime does not answer, and is then tried again
 * @param failed called with the last error
 */
export function createNameRepair(
  work: () => Promise<void>,
  failed: (error: unknown) => void,
  wait: (ms: number) => Promise<unknown> = (ms) => sleep(ms, undefined, { ref: false }),
): NameRepair {
  let isNeeded = true
  let running: Promise<void> | undefined

  async function run(isPatient: boolean): Promise<void> {
    for (let tries = isPatient ? TRIES : 1; ; tries -= 1) {
      isNeeded = false
      try {
        return await work()
      } catch (error) {
        isNeeded = true
        if (tries > 1) await wait(PAUSE_MS)
        else return failed(error)
      }
    }
  }

  return {
    needed: () => {
      isNeeded = true
    },
    settle: (isPatient) => {
      if (!isNeeded && running === undefined) return undefined
      running ??= run(isPatient).finally(() => {
        running = undefined
      })
      return Promise.race([running, wait(LIMIT_MS).then(() => {})])
    },
  }
}
