import type { Clock } from '../concurrency/clock.ts'
import type { Ticket, Wait } from '../concurrency/semaphore.ts'
import { type ResolveError, toResolveError } from '../errors.ts'
import { lateError } from './attempt.ts'
import type { ResolveTrace } from './trace.ts'
import type { Candidate } from './types.ts'

export interface FailoverLimits {
  /**
   * A configured private registry is asked beside the one before it, by HEAD, when that is silent for this
   * long, in milliseconds; absent or 0: never.
   */
  readonly hedgeDelayMs?: number
  /** How long a candidate may be silent before the next one is asked in its place, in milliseconds. */
  readonly probeBudgetMs: number
}

/**
 * @param ticket hears when this has to wait: in the queue of a busy registry, or for credentials
 * @param promoted present for a hedge, which waits for it before it asks for more than a HEAD: the
 * candidates before it have failed or are late
 */
export type Ask<T> = (
  candidate: Candidate,
  signal: AbortSignal,
  ticket: Ticket,
  promoted?: () => Promise<void>,
) => Promise<T>

/**
 * What has to be settled before a candidate may be asked; undefined: nothing. It rejects with a
 * ResolveError for one that may not be asked at all, and has to settle by itself.
 */
export type Authorize = (candidate: Candidate) => Promise<unknown> | undefined

export interface AskOptions<T> {
  readonly limits: FailoverLimits
  /** Of these candidates, and maybe others; what becomes of them is written there. */
  readonly trace: ResolveTrace<T>
  readonly authorize?: Authorize
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * What happens when a budget is over. `ordinary`: its answer is still welcome, if it is the first one.
 * `lastResort`: no other candidate is left, and this one is in doubt. `trial`: it failed lately, and others
 * are asked at the same time; nothing waits for it, but its outcome is reported to the health of registries.
 */
export type Patience = 'ordinary' | 'lastResort' | 'trial'

/** Which of the candidates is asked, and how. */
export interface RequestPlace {
  /** In the order of candidates; 0 is the best. */
  readonly index: number
  readonly candidate: Candidate
  readonly patience: Patience
  /** It is asked beside a better one that is silent, and for no more than a HEAD until it is promoted. */
  readonly isHedge: boolean
}

export interface RequestListener<T> {
  answered(request: CandidateRequest<T>, value: T): void
  /** It has failed, is late, or is a hedge that is ready: something else may have to be done. */
  changed(): void
  /** It waited in the queue, and is asked now. */
  entered(request: CandidateRequest<T>): void
  /** Its registry failed while it waited in the queue: it was not asked. */
  turnedAway(request: CandidateRequest<T>): void
}

/**
 * `held`: it is not authorized yet. `queued`: its registry is busy, or credentials are looked up. `ready`: a
 * hedge that has its HEAD, and waits to be promoted.
 */
type State = 'held' | 'running' | 'queued' | 'ready' | 'late' | 'done'

const AWAITED: ReadonlySet<State> = new Set(['running', 'held', 'ready'])

/** One candidate that is asked during a failover: has it authorized, keeps its budget, writes the trace. */
export class CandidateRequest<T> {
  readonly place: RequestPlace
  readonly #options: AskOptions<T>
  readonly #listener: RequestListener<T>
  readonly #controller = new AbortController()
  #state: State = 'held'
  #cancelBudget: () => void = () => {}
  #isPromoted: boolean
  #resume: () => void = () => {}
  /** The failover ended without it. */
  #isAbandoned = false

  constructor(place: RequestPlace, options: AskOptions<T>, listener: RequestListener<T>) {
    this.place = place
    this.#options = options
    this.#listener = listener
    this.#isPromoted = !place.isHedge
  }

  get isDone(): boolean {
    return this.#state === 'done'
  }

  get isQueued(): boolean {
    return this.#state === 'queued'
  }

  /** A hedge that has found it, so that no other one is needed. */
  get isReady(): boolean {
    return this.#state === 'ready'
  }

  get isTrial(): boolean {
    return this.place.patience === 'trial'
  }

  /** Whether its answer is worth waiting for, where worse ones are there. */
  get isAwaited(): boolean {
    return !this.isTrial && AWAITED.has(this.#state)
  }

  begin(ask: Ask<T>): void {
    const { authorize, trace } = this.#options
    const { candidate } = this.place
    const authorized = authorize?.(candidate)
    trace.begun(candidate)
    if (authorized === undefined) {
      this.#ask(ask)
      return
    }
    authorized.then(
      () => {
        if (this.isDone) return
        trace.begun(candidate)
        this.#ask(ask)
      },
      (thrown: unknown) => this.#refused(toResolveError(thrown)),
    )
  }

  /** It is a hedge no more: the best one that is still waited for. */
  promote(): void {
    this.#isPromoted = true
    if (this.#state !== 'ready') return
    this.#options.trace.progressed(this.place.candidate)
    this.#run()
    this.#resume()
  }

  /**
   * The failover is over. A trial under way ends by itself, within its budget.
   *
   * @param counts whether it counts against the registry if it was late
   */
  abandon(message: string, counts: boolean): void {
    if (this.isDone) return
    const { candidate } = this.place
    const { trace } = this.#options
    this.#isAbandoned = true
    if (this.isTrial) trace.abandoned(candidate, 'not waited for: it failed lately', false)
    else trace.abandoned(candidate, message, counts && this.#state === 'late')
    if (this.isTrial && this.#state === 'running') return
    this.#end()
  }

  #ask(ask: Ask<T>): void {
    const { candidate, isHedge } = this.place
    this.#run()
    const ticket: Ticket = {
      waiting: (what) => this.#waiting(what),
      entered: () => this.#entered(),
    }
    const promoted = isHedge ? () => this.#promotion() : undefined
    ask(candidate, this.#controller.signal, ticket, promoted).then(
      (value) => this.#succeeded(value),
      (thrown: unknown) => this.#failed(toResolveError(thrown)),
    )
  }

  /** Settles when it is promoted; never where the failover ends before that. */
  #promotion(): Promise<void> {
    if (this.isDone) return new Promise(() => {})
    if (this.#isPromoted) return Promise.resolve()
    this.#state = 'ready'
    this.#cancelBudget()
    const promotion = new Promise<void>((resolve) => {
      this.#resume = resolve
    })
    this.#listener.changed()
    return promotion
  }

  #run(): void {
    this.#state = 'running'
    this.#watch(this.#leftMs())
  }

  #leftMs(): number {
    const { limits, trace } = this.#options
    return limits.probeBudgetMs - trace.silentMs(this.place.candidate)
  }

  #watch(ms: number): void {
    this.#cancelBudget()
    this.#cancelBudget = this.#options.clock.after(ms, () => {
      // Progress made meanwhile is counted when the time seems to be up.
      const leftMs = this.#state === 'running' ? this.#leftMs() : 0
      if (leftMs > 0) this.#watch(leftMs)
      else this.#spent()
    })
  }

  #spent(): void {
    const { limits, trace } = this.#options
    const { candidate, patience } = this.place
    if (patience === 'ordinary') {
      if (this.#state === 'running') this.#state = 'late'
      this.#listener.changed()
    } else if (this.#state === 'queued') {
      trace.abandoned(candidate, 'given up: it failed a moment ago', false)
      this.#end()
      this.#listener.changed()
    } else {
      this.#failed(lateError(limits.probeBudgetMs))
      this.#controller.abort()
    }
  }

  #waiting(what?: Wait): void {
    const { limits, trace } = this.#options
    trace.waiting(this.place.candidate, what)
    if (this.#state !== 'running') return
    if (this.#isAbandoned) {
      this.#end()
      return
    }
    this.#state = 'queued'
    if (this.isTrial) this.#cancelBudget()
    else this.#watch(limits.probeBudgetMs)
  }

  #entered(): void {
    const { trace } = this.#options
    const { candidate, patience } = this.place
    trace.entered(candidate)
    if (this.#state !== 'queued') return
    if (patience === 'ordinary' && trace.isResting(candidate)) {
      this.#end()
      this.#listener.turnedAway(this)
      return
    }
    this.#run()
    this.#listener.entered(this)
  }

  #succeeded(value: T): void {
    if (this.isDone) return
    const { trace } = this.#options
    const { candidate } = this.place
    this.#finish()
    if (this.#isAbandoned) trace.trialEnded(candidate)
    else {
      trace.answered(candidate, value)
      this.#listener.answered(this, value)
    }
  }

  #failed(error: ResolveError): void {
    if (this.isDone) return
    const { trace } = this.#options
    const { candidate, patience } = this.place
    this.#finish()
    if (this.#isAbandoned) trace.trialEnded(candidate, error)
    else {
      trace.failed(candidate, error, patience !== 'ordinary')
      this.#listener.changed()
    }
  }

  #refused(error: ResolveError): void {
    if (this.isDone) return
    this.#options.trace.refused(this.place.candidate, error)
    this.#finish()
    this.#listener.changed()
  }

  #end(): void {
    this.#finish()
    this.#controller.abort()
  }

  #finish(): void {
    this.#state = 'done'
    this.#cancelBudget()
  }
}

/**
 * Waits for what has to be there before a registry can be asked: the time of a credential helper is not the
 * registry's, and says nothing of it.
 */
export async function waitBefore<T>(ticket: Ticket, what: Wait, work: Promise<T>): Promise<T> {
  ticket.waiting?.(what)
  try {
    return await work
  } finally {
    ticket.entered?.()
  }
}
