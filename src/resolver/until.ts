import type { Turn, Wait } from '../registry/turn.ts'

/**
 * Waits for what has to be there before a registry can be asked: a credential helper's time is not the
 * registry's, and says nothing of it.
 */
export async function before<T>(turn: Turn, what: Wait, work: Promise<T>): Promise<T> {
  turn.waiting?.(what)
  try {
    return await work
  } finally {
    turn.entered?.()
  }
}

/** Waits for work that may not listen to the signal: whichever comes first. Rejects with its reason. */
export function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason)
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
