import { setTimeout as sleep } from 'node:timers/promises'

/** A lost connection is back about a quarter of a second after the runtime. */
const TRIES = 20
const PAUSE_MS = 100
/** No call waits longer than this for names to be repaired. */
const LIMIT_MS = 5_000
/** A runtime that ends a pull because it was cancelled may give the name at that moment, and be slow to do so. */
const LATE_MS = 10_000

export interface NameRepair {
  /** A pull was interrupted: there may be something to repair. */
  needed(): void
  /** As ImageNames.settle. */
  settle(isPatient: boolean): Promise<void> | undefined
}

interface NameRepairOptions {
  /** The mirrors' names of interrupted pulls, without those of pulls under way, and the names that were wanted. */
  readonly left: () => Promise<Iterable<readonly [string, readonly string[]]>>
  /**
   * @returns whether the runtime had the mirror's name
   * @throws while the runtime does not answer; it is then tried again
   */
  readonly repair: (name: string, wanted: readonly string[]) => Promise<boolean>
  /** The pull will not bring the name any more. A pull by that name may be under way by now. */
  readonly forget: (name: string) => void
  /** Called with the last error. */
  readonly failed: (error: unknown) => void
  readonly wait?: ((ms: number) => Promise<unknown>) | undefined
  /** Milliseconds of a clock that never jumps. */
  readonly now?: (() => number) | undefined
}

/**
 * Repairs names when that is needed, once for all callers. It is needed at the start: the last process may have
 * ended in the middle of a pull. A name that is not there, or not any more, is looked for once more ten seconds later.
 */
export function createNameRepair(options: NameRepairOptions): NameRepair {
  const { failed, forget, left, now = () => performance.now(), repair } = options
  const { wait = (ms: number) => sleep(ms, undefined, { ref: false }) } = options
  let isNeeded = true
  let running: Promise<void> | undefined
  /** Since when names are known not to be there; forgotten when a pull is interrupted after that. */
  let absent: ReadonlyMap<string, number> = new Map()
  let isLookingAgain = false

  async function repairAll(): Promise<void> {
    const before = absent
    const still = new Map<string, number>()
    for (const [name, wanted] of await left()) {
      const wasThere = await repair(name, wanted)
      const since = (wasThere ? undefined : before.get(name)) ?? now()
      if (now() - since >= LATE_MS && absent === before) forget(name)
      else still.set(name, since)
    }
    if (absent === before) absent = still
    if (still.size > 0) lookAgain()
  }

  function lookAgain(): void {
    if (isLookingAgain) return
    isLookingAgain = true
    void wait(LATE_MS).then(async () => {
      await running
      isLookingAgain = false
      isNeeded = true
      await settle(false)
    })
  }

  async function run(isPatient: boolean): Promise<void> {
    for (let tries = isPatient ? TRIES : 1; ; tries -= 1) {
      isNeeded = false
      try {
        return await repairAll()
      } catch (error) {
        isNeeded = true
        if (tries > 1) await wait(PAUSE_MS)
        else return failed(error)
      }
    }
  }

  function settle(isPatient: boolean): Promise<void> | undefined {
    if (!isNeeded && running === undefined) return undefined
    running ??= run(isPatient).finally(() => {
      running = undefined
    })
    return Promise.race([running, wait(LIMIT_MS).then(() => {})])
  }

  return {
    needed: () => {
      isNeeded = true
      absent = new Map()
    },
    settle,
  }
}
