import type { Ticket, Wait } from '../concurrency/semaphore.ts'

/**
 * Waits for what has to be there before a registry can be asked: a credential helper's time is not the
 * registry's, and says nothing of it.
 */
export async function before<T>(ticket: Ticket, what: Wait, work: Promise<T>): Promise<T> {
  ticket.waiting?.(what)
  try {
    return await work
  } finally {
    ticket.entered?.()
  }
}
