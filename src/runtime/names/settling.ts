import { setTimeout as sleep } from 'node:timers/promises'

/** A connection that was lost is back some quarter of a second after the runtime is. */
const TRIES = 20
const PAUSE_MS = 100
/** Nothing waits longer than this for names to be put right. */
const LIMIT_MS = 5_000

export interface Settling {
  /** Something may be left from now on. */
  needed(): void
  /** As ImageNames.settle. */
  settle(isPatient: boolean): Promise<void> | undefined
}

/**
 * Work that is done when it is needed, by one caller for all. At first it is: a process that ended in
 * the middle may have left something.
 *
 * @param work rejects while the runtime does not answer; it is then done again
 * @param failed told why it was not done
 */
export function createSettling(
  work: () => Promise<void>,
  failed: (error: unknown) => void,
  wait: (ms: number) => Promise<unknown> = (ms) => sleep(ms, undefined, { ref: false }),
): Settling {
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
