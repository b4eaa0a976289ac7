/** The use of a mirror's name by one pull. */
export interface NameLease {
  /** The name was not there before these pulls. */
  readonly isOurs: boolean
  /** The image has its wanted names, or is to get none: this pull does not need the mirror's. */
  named(): void
  /** The image is wanted by this very name. */
  keep(): void
  /** Ends the lease, once. */
  release(): Promise<LeaseOutcome>
}

/**
 * What happened to the name. `held`: other pulls use it. `gone`: deleted. `kept`: it stays, because it is
 * wanted. `left`: it may be there, and is not wanted.
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
  /** Resolves when the runtime was asked whether it had the name before the first lease. */
  readonly looked: Promise<void>
  dropping: Promise<boolean> | undefined
}

/**
 * Counts the pulls that use a mirror's name. Releasing the last lease deletes the name if it came with
 * these pulls and the image has its wanted names. A lease that is acquired meanwhile waits, because it
 * would find a name that is about to go.
 *
 * @param exists whether the runtime has the name, other than from an earlier pull of this service
 * @param drop deletes the name; false: it failed
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
