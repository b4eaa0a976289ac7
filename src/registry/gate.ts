import { waitFor } from './limit.ts'
import type { Turn } from './turn.ts'

/** In the order of arrival. */
type Line = Set<() => void>

interface Lane {
  running: number
  /** Let in before the others. */
  readonly first: Line
  readonly others: Line
}

/**
 * Lets so many in at once under each name; the others wait in line. A registry that answers slowly
 * must not be asked a thousand things at a time for that. Those that are urgent are let in first, and
 * those that were in before: of what is begun more can be finished in time than of what all begin.
 */
export class Gate {
  readonly #limit: number
  readonly #lanes = new Map<string, Lane>()
  readonly #begun = new WeakSet<Turn>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * @param turn the same object whenever the same attempt comes again
   * @throws the signal's reason when that ends the waiting; what the work throws
   */
  async run<T>(
    name: string,
    signal: AbortSignal,
    work: () => Promise<T>,
    turn: Turn = {},
  ): Promise<T> {
    signal.throwIfAborted()
    const lane = this.#lanes.get(name) ?? { running: 0, first: new Set(), others: new Set() }
    this.#lanes.set(name, lane)
    const isFull = lane.running >= this.#limit
    const isFirst = turn.urgent === true || this.#begun.has(turn)
    if (isFull) await stand(isFirst ? lane.first : lane.others, turn, signal)
    else lane.running += 1
    try {
      this.#begun.add(turn)
      if (isFull) turn.entered?.()
      signal.throwIfAborted()
      return await work()
    } finally {
      this.#leave(name, lane)
    }
  }

  /** The place goes to the next in line directly, so that nobody can slip in between. */
  #leave(name: string, lane: Lane): void {
    for (const line of [lane.first, lane.others]) {
      for (const enter of line) {
        line.delete(enter)
        enter()
        return
      }
    }
    lane.running -= 1
    if (lane.running === 0) this.#lanes.delete(name)
  }
}

async function stand(line: Line, turn: Turn, signal: AbortSignal): Promise<void> {
  let enter = () => {}
  const admission = new Promise<void>((resolve) => {
    enter = resolve
  })
  line.add(enter)
  turn.waiting?.()
  // One who was let in and leaves in the same moment keeps the place, and gives it back in run().
  await waitFor(admission, signal).catch((reason: unknown) => {
    if (line.delete(enter)) throw reason
  })
}
