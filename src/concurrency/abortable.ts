import { ResolveError, toResolveError } from '../errors.ts'

/**
 * Runs work that has to end within `ms` and with the caller's signal, whichever comes first. The
 * signal that the work is given carries a ResolveError as its reason: DEADLINE_EXCEEDED for our
 * limit or a deadline of the caller's, else CANCELED.
 */
export async function withTimeout<T>(
  caller: AbortSignal,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const leave = () => controller.abort(departure(caller.reason))
  const timer = setTimeout(() => controller.abort(outOfTime(ms)), ms)
  if (caller.aborted) leave()
  else caller.addEventListener('abort', leave, { once: true })
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    caller.removeEventListener('abort', leave)
  }
}

/** Waits for work that may not listen to the signal: it ends the waiting, not the work. Rejects with its reason. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason)
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}

function outOfTime(ms: number): ResolveError {
  return new ResolveError('DEADLINE_EXCEEDED', `no answer within ${ms} ms`)
}

/** The error for a signal that ended: DEADLINE_EXCEEDED for a deadline of the caller's, else CANCELED. */
export function departure(reason: unknown): ResolveError {
  const { code } = toResolveError(reason)
  return code === 'DEADLINE_EXCEEDED'
    ? new ResolveError(code, 'out of time', { cause: reason })
    : new ResolveError('CANCELED', 'the caller went away', { cause: reason })
}
