import type { ResolveError } from '../errors.ts'
import {
  type Ask,
  type AskOptions,
  type CandidateListener,
  CandidateRequest,
  type Patience,
} from './candidate-request.ts'
import type { ResolveTrace } from './trace.ts'
import type { Candidate } from './types.ts'

export interface FailoverOptions<T> extends AskOptions<T> {
  /** The reference, for error texts. */
  readonly what: string
}

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
  options: FailoverOptions<T>,
): Promise<Found<T>> {
  return new Promise((resolve, reject) => {
    new Failover(candidates, ask, options, resolve, reject).begin()
  })
}

/** A registry that has recovered mostly answers within this. */
const TRIAL_GRACE_MS = 300

class Failover<T> implements CandidateListener<T> {
  readonly #queue: CandidateQueue
  readonly #ask: Ask<T>
  readonly #options: FailoverOptions<T>
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
    options: FailoverOptions<T>,
    resolve: (found: Found<T>) => void,
    reject: (error: ResolveError) => void,
  ) {
    this.#queue = new CandidateQueue(candidates, options.trace)
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
    const best = this.#best?.place.index ?? Number.POSITIVE_INFINITY
    const first = this.#requests.find(({ isAwaited, place }) => isAwaited && place.index < best)
    first?.promote()
    if (first === undefined && this.#best === undefined) this.#startNext()
    else this.#conclude()
  }

  entered(request: CandidateRequest<T>): void {
    if (this.#hedged === request) this.#hedge(request)
  }

  turnedAway(request: CandidateRequest<T>): void {
    this.#queue.passOver(request.place.index)
    this.changed()
  }

  /** The best one that has answered. */
  get #best(): CandidateRequest<T> | undefined {
    const answered = this.#requests.filter(({ trace }) => trace.answer !== undefined)
    return answered.sort((one, other) => one.place.index - other.place.index)[0]
  }

  /** @param beside the one before it is silent: only a candidate that may hedge */
  #startNext(beside = false): void {
    this.#hedged = undefined
    this.#cancelHedge()
    const admitted = this.#queue.next(beside ? ({ isPrivate }) => isPrivate === true : undefined)
    if (admitted === undefined && beside) return
    const { trace } = this.#options
    // As long as another one is pending a dead registry would only cost its budget.
    const index =
      admitted ?? (this.#isPending() ? undefined : this.#queue.lastResort(trace.isDenied))
    if (index === undefined) {
      this.#conclude()
      return
    }
    const candidate = this.#queue.candidate(index)
    const patience = admitted === undefined ? 'lastResort' : this.#patienceWith(candidate)
    const isHedge = beside && this.#requests.some(({ isAwaited }) => isAwaited)
    const place = { index, candidate, patience, isHedge }
    const request = new CandidateRequest<T>(place, this.#options, this)
    this.#requests.push(request)
    request.begin(this.#ask)
    if (patience === 'trial') this.#startNext(beside)
    else this.#hedge(request)
  }

  #patienceWith(candidate: Candidate): Patience {
    const { isOnTrial } = this.#options.trace.of(candidate)
    return isOnTrial && this.#queue.hasMore ? 'trial' : 'ordinary'
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
      const { candidate, index } = best.place
      const isBetter = (other: CandidateRequest<T>): boolean => other.place.index < index
      if (this.#requests.some((other) => isBetter(other) && other.isAwaited)) return
      this.#end('a better answer was there', isBetter)
      this.#resolve({ candidate, value: best.trace.answer as T })
    } else if (!this.#isPending() && !this.#queue.hasMore) {
      const graceMs = this.#graceMs()
      if (graceMs > 0) {
        this.#cancelHedge()
        this.#cancelHedge = this.#options.clock.after(graceMs, () => this.#conclude())
        return
      }
      this.#end('the resolution ended first', () => false)
      this.#reject(this.#options.trace.error(this.#options.what))
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
    const { signal, trace, what } = this.#options
    this.#reject(trace.ended(what, signal.reason))
  }

  /** @param counts whether being late counts against the registry of a request */
  #end(message: string, counts: (request: CandidateRequest<T>) => boolean): void {
    this.#isOver = true
    this.#cancelHedge()
    this.#options.signal.removeEventListener('abort', this.#abort)
    for (const request of this.#requests) request.abandon(message, counts(request))
  }
}

/** The candidates that are still to be asked. */
class CandidateQueue {
  readonly #candidates: readonly Candidate[]
  readonly #trace: ResolveTrace<unknown>
  readonly #waiting: number[]
  readonly #resting: number[] = []

  constructor(candidates: readonly Candidate[], trace: ResolveTrace<unknown>) {
    this.#candidates = candidates
    this.#trace = trace
    this.#waiting = candidates.map((_, index) => index)
  }

  get hasMore(): boolean {
    return this.#waiting.length > 0
  }

  /**
   * The next one that its breaker admits; others are passed over.
   *
   * @param isWanted the queue ends at one that is not wanted
   */
  next(isWanted: (candidate: Candidate) => boolean = () => true): number | undefined {
    for (let index = this.#waiting[0]; index !== undefined; index = this.#waiting[0]) {
      const candidate = this.candidate(index)
      if (!isWanted(candidate)) return undefined
      this.#waiting.shift()
      if (this.#trace.of(candidate).admit()) return index
      this.passOver(index)
    }
    return undefined
  }

  /** Keeps it as a last resort. */
  passOver(index: number): void {
    if (this.#trace.of(this.candidate(index)).passOver()) this.#resting.push(index)
  }

  /**
   * The next of those that were passed over.
   *
   * @param isDenied another registry denied the image: those that failed by a time-out are left out
   */
  lastResort(isDenied: boolean): number | undefined {
    const isWanted = (index: number): boolean =>
      !isDenied || !this.#trace.of(this.candidate(index)).isSilent
    const position = this.#resting.findIndex(isWanted)
    return position < 0 ? undefined : this.#resting.splice(position, 1)[0]
  }

  candidate(index: number): Candidate {
    return this.#candidates[index] as Candidate
  }
}
