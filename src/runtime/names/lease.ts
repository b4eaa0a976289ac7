/** One pull's hold on a mirror's name. */
export interface NameLease {
  /** The name came, or will come, with these pulls. */
  readonly isOurs: boolean
  /** The image has got its real names, or is to get none: this pull does not need the mirror's. */
  named(): void
  /** Somebody wants the image by this very name. */
  keep(): void
  /** Ends the lease, once. */
  release(): Promise<LeaseOutcome>
}

/**
 * What becomes of the name: `held`: other pulls go by it; `gone`: taken away; `kept`: it stays, since
 * somebody wants it; `left`: it may be there, and nobody wants it.
 */
export type LeaseOutcome = 'held' | 'gone' | 'kept' | 'left'

export interface NameLeases {
  acquire(name: string): Promise<NameLease>
  isHeld(name: string): boolean
}

interface Held {
  holders: number
  named: boolean
  kept: boolean
  /** Before the first lease the name was not there, so that it is ours to take away. */
  readonly looked: Promise<void>
  dropping: Promise<boolean> | undefined
}

/**
 * Counts who needs a mirror's name. The last one to leave takes it away, if it came with these
 * pulls and an image has real names since. A lease made meanwhile waits, or it would see a name
 * that is about to go.
 *
 * @param exists whether the runtime has the name now, and not by an earlier pull of ours
 * @param drop takes it away; false when it could not
 */
export function createNameLeases(
  exists: (name: string) => Promise<boolean>,
  drop: (name: string) => Promise<boolean>,
): NameLeases {
  const table = new Map<string, Held>()

  function look(name: string): Held {
    const held: Held = {
      holders: 0,
      named: false,
      kept: false,
      looked: exists(name).then((there) => {
        if (there) held.kept = true
      }),
      dropping: undefined,
    }
    table.set(name, held)
    return held
  }

  async function release(name: string, held: Held): Promise<LeaseOutcome> {
    held.holders -= 1
    if (held.holders > 0) return 'held'
    if (held.named && !held.kept) {
      held.dropping = drop(name).finally(() => table.delete(name))
      return (await held.dropping) ? 'gone' : 'left'
    }
    table.delete(name)
    return held.kept ? 'kept' : 'left'
  }

  async function acquire(name: string): Promise<NameLease> {
    let held = table.get(name)
    while (held?.dropping !== undefined) {
      await held.dropping
      held = table.get(name)
    }
    const joined = held ?? look(name)
    joined.holders += 1
    try {
      await joined.looked
    } catch (error) {
      await release(name, joined)
      throw error
    }
    return {
      isOurs: !joined.kept,
      named: () => {
        joined.named = true
      },
      keep: () => {
        joined.kept = true
      },
      release: () => release(name, joined),
    }
  }

  return { acquire, isHeld: (name) => table.has(name) }
}
