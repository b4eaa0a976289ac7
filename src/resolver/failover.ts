import { abortable } from '../concurrency/abortable.ts'
import type { ResolveError } from '../errors.ts'
import {
  type Ask,
  type AskOptions,
  type CandidateListener,
  CandidateRequest,
  type Patience,
} from './candidate-request.ts'
import type { CandidateTrace } from './trace.ts'
import type { Candidate } from './types.ts'

export interface Found<T> {
  readonly candidate: Candidate
  readonly value: T
}

/**
 * Asks the candidates for one answer: in order, the next one as soon as one failed or was silent for its probe
 * budget, which counts from its last progress. The answer of the best candidate is used: others are held back while
 * a better one is inside its budget, or waits for its authorization.
 *
 * Configured private registries are used to hedge: each is asked by HEAD when the one before it has been silent for
 * the hedge delay, and for the rest once all before it have failed or are late. Public registries and origins that
 * are not configured count requests, and are asked in their turn only.
 *
 * Registries with an open breaker are passed over, and asked as a last resort when no other one has an answer. One
 * that failed by a time-out is not, if another one denied the image: each absent image would cost its budget. One
 * that answered 429 never is. A half-open one is asked beside the next, so that a dead registry does not cost its
 * budget again.
 *
 * Time in the queue of a busy registry is not part of its budget. But as after any silence the next one is asked,
 * and its answer does not wait for a request that is still queued: how long that takes is unknown, and each request
 * that is given up makes the queue shorter.
 *
 * @throws ResolveError with all attempts: the most telling code of the failures, or CANCELED /
 * DEADLINE_EXCEEDED when the signal ended it.
 */
export function askInOrder<T>(
  candidates: readonly Candidate[],
  ask: Ask<T>,
  options: AskOptions<T>,
): Promise<Found<T>> {
  return new Promise((resolve, reject) => {
    new Failover(candidates, ask, options, resolve, reject).begin()
  })
}

/**
 * Asks one candidate. Never rejects: what became of it stands in its trace. Ends early when the signal does.
 *
 * @param patience `every` or `lastResort`
 */
export async function askOne<T>(
  candidate: Candidate,
  patience: Patience,
  ask: Ask<T>,
  options: AskOptions<T>,
): Promise<void> {
  const terms = { patience, isHedge: false }
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const request = new CandidateRequest(options.trace.of(candidate), terms, options, {
    changed: end,
  })
  request.begin(ask)
  await abortable(ended, options.signal).catch(() => {
    request.abandon('the resolution ended first', false)
  })
}

/**
 * Asks all candidates at once, each within its probe budget, and waits for every one, as askOne.
 *
 * @param options `resting`: also ask those with an open breaker, unless they answered 429
 */
export async function askAll<T>(
  candidates: readonly Candidate[],
  ask: Ask<T>,
  options: AskOptions<T> & { readonly resting: boolean },
): Promise<void> {
  const admitted = candidates.filter((candidate) => {
    if (options.signal.aborted) return false
    const trace = options.trace.of(candidate)
    return trace.admit() || (trace.passOver() && options.resting)
  })
  await Promise.all(admitted.map((candidate) => askOne(candidate, 'every', ask, options)))
}

/** A registry that has recovered mostly answers within this. */
const TRIAL_GRACE_MS = 300

class Failover<T> implements CandidateListener<T> {
  /** Still to be asked, in order. */
  readonly #waiting: CandidateTrace<T>[]
  /** Passed over, and kept as a last resort. */
  readonly #resting: CandidateTrace<T>[] = []
  readonly #ask: Ask<T>
  readonly #options: AskOptions<T>
  readonly #resolve: (found: Found<T>) => void
  readonly #reject: (error: ResolveError) => void
  readonly #requests: CandidateRequest<T>[] = []
  /** The last one that was asked: the next one hedges it. */
  #hedged: CandidateRequest<T> | undefined
  #cancelHedge: () => void = () => {}
  #isOver = false

  constructor(
    candidates: readonly Candidate[],
    ask: Ask<T>,
    options: AskOptions<T>,
    resolve: (found: Found<T>) => void,
    reject: (error: ResolveError) => void,
  ) {
    this.#waiting = candidates.map((candidate) => options.trace.of(candidate))
    this.#ask = ask
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(): void {
    const { signal } = this.#options
    if (signal.aborted) {
      this.#abort()
      return
    }
    signal.addEventListener('abort', this.#abort, { once: true })
    this.#startNext()
  }

  /** Promotes the best request that is still awaited; without one, asks the next candidate. */
  changed(): void {
    const best = this.#best?.trace.index ?? Number.POSITIVE_INFINITY
    const first = this.#requests.find(({ isAwaited, trace }) => isAwaited && trace.index < best)
    first?.promote()
    if (first === undefined && this.#best === undefined) this.#startNext()
    else this.#conclude()
  }

  entered(request: CandidateRequest<T>): void {
    if (this.#hedged === request) this.#hedge(request)
  }

  turnedAway(request: CandidateRequest<T>): void {
    this.#passOver(request.trace)
    this.changed()
  }

  /** The best one that has answered. */
  get #best(): CandidateRequest<T> | undefined {
    const answered = this.#requests.filter(({ trace }) => trace.answer !== undefined)
    return answered.sort((one, other) => one.trace.index - other.trace.index)[0]
  }

  /** @param beside the one before it is silent: only a candidate that may hedge */
  #startNext(beside = false): void {
    this.#hedged = undefined
    this.#cancelHedge()
    const admitted = this.#nextAdmitted(beside)
    if (admitted === undefined && beside) return
    // As long as another one is pending a dead registry would only cost its budget.
    const trace = admitted ?? (this.#isPending() ? undefined : this.#lastResort())
    if (trace === undefined) {
      this.#conclude()
      return
    }
    const isTrial = admitted?.isOnTrial === true && this.#waiting.length > 0
    const patience = admitted === undefined ? 'lastResort' : isTrial ? 'trial' : 'ordinary'
    const isHedge = beside && this.#requests.some(({ isAwaited }) => isAwaited)
    const request = new CandidateRequest(trace, { patience, isHedge }, this.#options, this)
    this.#requests.push(request)
    request.begin(this.#ask)
    if (isTrial) this.#startNext(beside)
    else this.#hedge(request)
  }

  /** The next one that its breakers admit; others are passed over. */
  #nextAdmitted(isHedge: boolean): CandidateTrace<T> | undefined {
    for (let trace = this.#waiting[0]; trace !== undefined; trace = this.#waiting[0]) {
      if (isHedge && trace.candidate.isPrivate !== true) return undefined
      this.#waiting.shift()
      if (trace.admit()) return trace
      this.#passOver(trace)
    }
    return undefined
  }

  #passOver(trace: CandidateTrace<T>): void {
    if (trace.passOver()) this.#resting.push(trace)
  }

  /** Where another registry denied the image, those that failed by a time-out are left out. */
  #lastResort(): CandidateTrace<T> | undefined {
    const { isDenied } = this.#options.trace
    const position = this.#resting.findIndex(({ isSilent }) => !isDenied || !isSilent)
    return position < 0 ? undefined : this.#resting.splice(position, 1)[0]
  }

  /** Asks the next one beside it after the hedge delay. */
  #hedge(request: CandidateRequest<T>): void {
    const { clock, limits } = this.#options
    const { hedgeDelayMs = 0 } = limits
    this.#cancelHedge()
    this.#hedged = request
    if (hedgeDelayMs === 0) return
    const leftMs = (): number => (request.isQueued ? 0 : hedgeDelayMs - request.trace.silentMs)
    const watch = (ms: number): void => {
      this.#cancelHedge = clock.after(ms, () => {
        if (this.#best !== undefined || request.isReady) return
        if (leftMs() > 0) watch(leftMs())
        else this.#startNext(true)
      })
    }
    watch(hedgeDelayMs)
  }

  /** Ends the failover if no pending request can change its outcome. */
  #conclude(): void {
    const best = this.#best
    if (best !== undefined) {
      const { answer, candidate, index } = best.trace
      const isBetter = (other: CandidateRequest<T>): boolean => other.trace.index < index
      if (this.#requests.some((other) => isBetter(other) && other.isAwaited)) return
      this.#end('a better answer was there', isBetter)
      this.#resolve({ candidate, value: answer as T })
    } else if (!this.#isPending() && this.#waiting.length === 0) {
      const graceMs = this.#graceMs()
      if (graceMs > 0) {
        this.#cancelHedge()
        this.#cancelHedge = this.#options.clock.after(graceMs, () => this.#conclude())
        return
      }
      this.#end('the resolution ended first', () => false)
      this.#reject(this.#options.trace.error(this.#options.signal))
    }
  }

  /** Whether a request is pending that is no trial. */
  #isPending(): boolean {
    return this.#requests.some(({ isDone, isTrial }) => !isDone && !isTrial)
  }

  /**
   * How long pending trials are still awaited, when all other requests have ended. After a denial one that failed by
   * a time-out gets a moment only: each absent image would cost its budget.
   */
  #graceMs(): number {
    const { limits, trace } = this.#options
    const graces = this.#requests
      .filter(({ isDone }) => !isDone)
      .map((request) => {
        const isSilent = trace.isDenied && request.trace.isSilent
        const graceMs = isSilent ? TRIAL_GRACE_MS : limits.probeBudgetMs
        return graceMs - request.trace.silentMs
      })
    return Math.max(0, ...graces)
  }

  readonly #abort = (): void => {
    if (this.#isOver) return
    this.#end('the resolution ended first', () => true)
    this.#reject(this.#options.trace.error(this.#options.signal))
  }

  /** @param counts whether being late counts against the registry of a request */
  #end(message: string, counts: (request: CandidateRequest<T>) => boolean): void {
    this.#isOver = true
    this.#cancelHedge()
    this.#options.signal.removeEventListener('abort', this.#abort)
    for (const request of this.#requests) request.abandon(message, counts(request))
  }
}
