import { waitFor } from './limit.ts'

interface Lane {
  running: number
  /** In the order of arrival. */
  readonly waiting: Set<() => void>
}

/**
 * Lets so many in at once under each name; the others wait in line. A registry that answers slowly
 * must not be asked a thousand things at a time for that.
 */
export class Gate {
  readonly #limit: number
  readonly #lanes = new Map<string, Lane>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** @throws the signal's reason when that ends the waiting; what the work throws */
  async run<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const lane = this.#lanes.get(name) ?? { running: 0, waiting: new Set() }
    this.#lanes.set(name, lane)
    if (lane.running < this.#limit) lane.running += 1
    else await stand(lane, signal)
    try {
      return await work()
    } finally {
      this.#leave(name, lane)
    }
  }

  /** The place goes to the next in line directly, so that nobody can slip in between. */
  #leave(name: string, lane: Lane): void {
    for (const enter of lane.waiting) {
      lane.waiting.delete(enter)
      enter()
      return
    }
    lane.running -= 1
    if (lane.running === 0) this.#lanes.delete(name)
  }
}

async function stand(lane: Lane, signal: AbortSignal): Promise<void> {
  let enter = () => {}
  const turn = new Promise<void>((resolve) => {
    enter = resolve
  })
  lane.waiting.add(enter)
  // One who was let in and leaves in the same moment keeps the place, and gives it back in run().
  await waitFor(turn, signal).catch((reason: unknown) => {
    if (lane.waiting.delete(enter)) throw reason
  })
}
