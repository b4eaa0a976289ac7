import { abortable } from './abortable.ts'

/** What a caller waits for before its work begins. */
export type Wait = 'in line' | 'for credentials'

/** How one caller waits in a queue. Nothing is called where it need not wait. */
export interface Ticket {
  /** Admitted before callers that are not urgent. Default: no. */
  readonly urgent?: boolean
  /** @param what default `in line` */
  readonly waiting?: (what?: Wait) => void
  /** It waited, and is admitted. */
  readonly entered?: () => void
}

/** In the order of arrival. */
type Queue = Set<() => void>

interface Slots {
  running: number
  /** Admitted before the others. */
  readonly first: Queue
  readonly others: Queue
}

/**
 * A counting semaphore for each name: a slow registry is not asked a thousand things at once. Urgent callers
 * are admitted first, and so are those that were admitted before: finishing what has begun gets more done
 * in time than beginning everything.
 */
export class Semaphore {
  readonly #limit: number
  readonly #slots = new Map<string, Slots>()
  readonly #begun = new WeakSet<Ticket>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * @param ticket the same object whenever the same attempt comes again
   * @throws the signal's reason when that ends the waiting; what the work throws
   */
  async run<T>(
    name: string,
    signal: AbortSignal,
    work: () => Promise<T>,
    ticket: Ticket = {},
  ): Promise<T> {
    signal.throwIfAborted()
    const slots = this.#slots.get(name) ?? { running: 0, first: new Set(), others: new Set() }
    this.#slots.set(name, slots)
    const isFull = slots.running >= this.#limit
    const isFirst = ticket.urgent === true || this.#begun.has(ticket)
    if (isFull) await queue(isFirst ? slots.first : slots.others, ticket, signal)
    else slots.running += 1
    try {
      this.#begun.add(ticket)
      if (isFull) ticket.entered?.()
      signal.throwIfAborted()
      return await work()
    } finally {
      this.#release(name, slots)
    }
  }

  /** The slot passes to the next in the queue directly, so that no newcomer takes it in between. */
  #release(name: string, slots: Slots): void {
    for (const waiting of [slots.first, slots.others]) {
      for (const enter of waiting) {
        waiting.delete(enter)
        enter()
        return
      }
    }
    slots.running -= 1
    if (slots.running === 0) this.#slots.delete(name)
  }
}

async function queue(waiting: Queue, ticket: Ticket, signal: AbortSignal): Promise<void> {
  let enter = () => {}
  const admission = new Promise<void>((resolve) => {
    enter = resolve
  })
  waiting.add(enter)
  ticket.waiting?.()
  // A caller that is admitted and leaves in the same moment keeps the slot, and releases it in run().
  await abortable(admission, signal).catch((reason: unknown) => {
    if (waiting.delete(enter)) throw reason
  })
}

/** Waits for work that has to be done before a request, and reports the wait: it is not the registry's time. */
export async function waitBefore<T>(ticket: Ticket, what: Wait, work: Promise<T>): Promise<T> {
  ticket.waiting?.(what)
  try {
    return await work
  } finally {
    ticket.entered?.()
  }
}
