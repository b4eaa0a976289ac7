import { abortable } from '../concurrency/abortable.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import { toResolveError } from '../errors.ts'
import { lateError } from './attempt.ts'
import type { Candidate } from './types.ts'
import type { Ask, WalkOptions } from './walk-options.ts'

export interface SurveyOptions<T> extends Omit<WalkOptions<T>, 'what'> {
  /** Also ask those that rest after a failure; one that asked for quiet (429) is left alone. */
  readonly resting: boolean
}

/**
 * Asks all candidates at once, each within its probe budget, and waits for every one. What became
 * of them stands in the record; it rejects never, and ends early when the signal does.
 */
export async function survey<T>(
  candidates: readonly Candidate[],
  ask: Ask<T>,
  options: SurveyOptions<T>,
): Promise<void> {
  await Promise.all(candidates.map((candidate) => probe(candidate, ask, options)))
}

async function probe<T>(
  candidate: Candidate,
  ask: Ask<T>,
  options: SurveyOptions<T>,
): Promise<void> {
  const { clock, limits, record, resting, signal } = options
  if (signal.aborted) return
  if (!record.admits(candidate) && !(record.passedOver(candidate) && resting)) return
  const opening = options.gate?.(candidate)
  record.begun(candidate)
  try {
    if (opening !== undefined) await abortable(opening, signal)
  } catch (thrown) {
    if (signal.aborted) record.abandoned(candidate, 'the walk was ended', false)
    else record.barred(candidate, toResolveError(thrown))
    return
  }
  // That time is the origin's, which was asked for its consent.
  if (opening !== undefined) record.begun(candidate)
  const late = new AbortController()
  let cancelBudget = (): void => {}
  const run = (): void => {
    const leftMs = limits.probeBudgetMs - record.silentMs(candidate)
    if (leftMs > 0) cancelBudget = clock.after(leftMs, run)
    else late.abort(lateError(limits.probeBudgetMs))
  }
  const ticket: Ticket = {
    waiting: (what) => {
      record.waiting(candidate, what)
      cancelBudget()
    },
    entered: () => {
      record.entered(candidate)
      run()
    },
  }
  run()
  const ends = AbortSignal.any([signal, late.signal])
  try {
    record.answered(candidate, await abortable(ask(candidate, ends, ticket), ends))
  } catch (thrown) {
    if (signal.aborted) record.abandoned(candidate, 'the walk was ended', false)
    else record.failed(candidate, toResolveError(thrown))
  } finally {
    cancelBudget()
  }
}
