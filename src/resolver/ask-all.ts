import { abortable } from '../concurrency/abortable.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import { toResolveError } from '../errors.ts'
import { lateError } from './attempt.ts'
import type { Ask, AskOptions } from './candidate-request.ts'
import type { Candidate } from './types.ts'

export interface AskAllOptions<T> extends AskOptions<T> {
  /** Also ask those that rest after a failure; one that asked for quiet (429) is left alone. */
  readonly resting: boolean
}

/**
 * Asks all candidates at once, each within its probe budget, and waits for every one. What became
 * of them stands in the trace; it never rejects, and ends early when the signal does.
 */
export async function askAll<T>(
  candidates: readonly Candidate[],
  ask: Ask<T>,
  options: AskAllOptions<T>,
): Promise<void> {
  await Promise.all(candidates.map((candidate) => askOne(candidate, ask, options)))
}

async function askOne<T>(
  candidate: Candidate,
  ask: Ask<T>,
  { authorize, clock, limits, resting, signal, trace }: AskAllOptions<T>,
): Promise<void> {
  if (signal.aborted) return
  if (!trace.admits(candidate) && !(trace.passedOver(candidate) && resting)) return
  const authorized = authorize?.(candidate)
  trace.begun(candidate)
  try {
    if (authorized !== undefined) await abortable(authorized, signal)
  } catch (thrown) {
    if (signal.aborted) trace.abandoned(candidate, 'the resolution ended first', false)
    else trace.refused(candidate, toResolveError(thrown))
    return
  }
  // That time is the origin's, which authorized it.
  if (authorized !== undefined) trace.begun(candidate)
  const late = new AbortController()
  let cancelBudget = (): void => {}
  const run = (): void => {
    const leftMs = limits.probeBudgetMs - trace.silentMs(candidate)
    if (leftMs > 0) cancelBudget = clock.after(leftMs, run)
    else late.abort(lateError(limits.probeBudgetMs))
  }
  const ticket: Ticket = {
    waiting: (what) => {
      trace.waiting(candidate, what)
      cancelBudget()
    },
    entered: () => {
      trace.entered(candidate)
      run()
    },
  }
  run()
  const ends = AbortSignal.any([signal, late.signal])
  try {
    trace.answered(candidate, await abortable(ask(candidate, ends, ticket), ends))
  } catch (thrown) {
    if (signal.aborted) trace.abandoned(candidate, 'the resolution ended first', false)
    else trace.failed(candidate, toResolveError(thrown))
  } finally {
    cancelBudget()
  }
}
