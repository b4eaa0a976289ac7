import type { Clock } from '../concurrency/clock.ts'
import { type Ticket, type Wait, waitBefore } from '../concurrency/semaphore.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImageRequest } from '../registry/image.ts'
import { requestAt } from './candidates.ts'
import type { CandidateTrace, ResolveTrace } from './trace.ts'
import type { Candidate } from './types.ts'

export interface FailoverLimits {
  /**
   * How long a candidate may be silent before a configured private registry is asked beside it, by HEAD, in
   * milliseconds; absent or 0: never.
   */
  readonly hedgeDelayMs?: number
  /** How long a candidate may be silent before the next one is asked in its place, in milliseconds. */
  readonly probeBudgetMs: number
}

/** A request to one candidate, but for what it is asked for. */
export type CandidateCall = Omit<ImageRequest, 'reference'>

/**
 * @param promoted present for a hedge, which asks for more than a HEAD only after it: the candidates
 * before it have failed or are late
 */
export type Ask<T> = (
  candidate: Candidate,
  call: CandidateCall,
  promoted?: () => Promise<void>,
) => Promise<T>

/**
 * What has to be settled before a candidate may be asked; undefined: nothing. Rejects with a ResolveError for
 * one that may not be asked at all. Has a time limit of its own.
 */
export type Authorize = (candidate: Candidate) => Promise<unknown> | undefined

export interface AskOptions<T> {
  readonly limits: FailoverLimits
  /** Of these candidates, and maybe others. */
  readonly trace: ResolveTrace<T>
  readonly authorize?: Authorize
  /** Absent: requests have none. */
  readonly credentials?: (candidate: Candidate) => Promise<Credentials | undefined>
  /** As in ResolveOptions. */
  readonly urgent?: boolean
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * What happens at the end of a budget. `ordinary`: others are asked, and its answer is used if it is the first
 * one. `lastResort`: it fails; it was in doubt before, and no other candidate is left. `trial`: it fails; it
 * failed lately, and others are asked at the same time. `every`: it fails; all candidates are asked.
 */
export type Patience = 'ordinary' | 'lastResort' | 'trial' | 'every'

/** On what terms a candidate is asked. */
export interface RequestTerms {
  readonly patience: Patience
  /** It is asked beside a better one that is silent, and for no more than a HEAD until it is promoted. */
  readonly isHedge: boolean
}

export interface CandidateListener<T> {
  /** It has answered or failed, is late, or is a hedge that is ready. */
  changed(request: CandidateRequest<T>): void
  /** It left the queue, and is asked now. */
  entered?(request: CandidateRequest<T>): void
  /** It left the queue unasked, because its registry failed meanwhile. */
  turnedAway?(request: CandidateRequest<T>): void
}

/**
 * `held`: not authorized yet. `queued`: its registry is busy, or credentials are looked up. `ready`: a hedge
 * that has its HEAD, and waits to be promoted.
 */
type State = 'held' | 'running' | 'queued' | 'ready' | 'late' | 'done'

const AWAITED: ReadonlySet<State> = new Set(['running', 'held', 'ready'])

/** One candidate that is asked: waits for its authorization, keeps its budget, records its trace. */
export class CandidateRequest<T> {
  readonly trace: CandidateTrace<T>
  readonly #terms: RequestTerms
  readonly #options: AskOptions<T>
  readonly #listener: CandidateListener<T>
  readonly #controller = new AbortController()
  #state: State = 'held'
  #cancelBudget: () => void = () => {}
  #isPromoted: boolean
  #resume: () => void = () => {}
  /** The resolution ended without it. */
  #isAbandoned = false

  constructor(
    trace: CandidateTrace<T>,
    terms: RequestTerms,
    options: AskOptions<T>,
    listener: CandidateListener<T>,
  ) {
    this.trace = trace
    this.#terms = terms
    this.#options = options
    this.#listener = listener
    this.#isPromoted = !terms.isHedge
  }

  get isDone(): boolean {
    return this.#state === 'done'
  }

  get isQueued(): boolean {
    return this.#state === 'queued'
  }

  /** Whether it is a hedge that has an answer, so that no further one is needed. */
  get isReady(): boolean {
    return this.#state === 'ready'
  }

  get isTrial(): boolean {
    return this.#terms.patience === 'trial'
  }

  /** Whether worse answers wait for its own. */
  get isAwaited(): boolean {
    return !this.isTrial && AWAITED.has(this.#state)
  }

  begin(ask: Ask<T>): void {
    const authorized = this.#options.authorize?.(this.trace.candidate)
    this.trace.begin()
    if (authorized === undefined) {
      this.#ask(ask)
      return
    }
    authorized.then(
      () => {
        if (this.isDone) return
        // The time before was the origin's, which authorized it.
        this.trace.begin()
        this.#ask(ask)
      },
      (thrown: unknown) => this.#refused(toResolveError(thrown)),
    )
  }

  /** It is the best one that is still awaited, and no hedge any more. */
  promote(): void {
    this.#isPromoted = true
    if (this.#state !== 'ready') return
    this.trace.progress()
    this.#run()
    this.#resume()
  }

  /**
   * The resolution is over. A pending trial ends by itself, within its budget.
   *
   * @param counts whether it counts against the registry if it was late
   */
  abandon(message: string, counts: boolean): void {
    if (this.isDone) return
    this.#isAbandoned = true
    if (this.isTrial) this.trace.abandon('not waited for: it failed lately', false)
    else this.trace.abandon(message, counts && this.#state === 'late')
    if (this.isTrial && this.#state === 'running') return
    this.#end()
  }

  #ask(ask: Ask<T>): void {
    this.#run()
    this.trace
      .send(() => this.#call(ask))
      .then(
        (value) => this.#succeeded(value),
        (thrown: unknown) => this.#failed(toResolveError(thrown)),
      )
  }

  #call(ask: Ask<T>): Promise<T> {
    const { candidate } = this.trace
    const { credentials, urgent = false } = this.#options
    const ticket: Ticket = {
      urgent,
      waiting: (what) => this.#waiting(what),
      entered: () => this.#entered(),
    }
    const { signal } = this.#controller
    const observe = this.trace.observer()
    // For a pull the origin is asked with a new token: a kept one may outlive a secret that was revoked, or an image's being public.
    const proof = candidate.origin && urgent ? ticket : undefined
    const promoted = this.#terms.isHedge ? () => this.#promotion() : undefined
    const send = (own?: Credentials) =>
      ask(candidate, { ...requestAt(candidate, own), signal, ticket, proof, observe }, promoted)
    const found = credentials?.(candidate)
    return found === undefined
      ? send()
      : waitBefore(ticket, 'for credentials', found).then((own) => send(own))
  }

  /** Resolves when it is promoted; never where the resolution ends before that. */
  #promotion(): Promise<void> {
    if (this.isDone) return new Promise(() => {})
    if (this.#isPromoted) return Promise.resolve()
    this.#state = 'ready'
    this.#cancelBudget()
    const promotion = new Promise<void>((resolve) => {
      this.#resume = resolve
    })
    this.#listener.changed(this)
    return promotion
  }

  #run(): void {
    this.#state = 'running'
    this.#watch(this.#leftMs())
  }

  #leftMs(): number {
    return this.#options.limits.probeBudgetMs - this.trace.silentMs
  }

  #watch(ms: number): void {
    this.#cancelBudget()
    this.#cancelBudget = this.#options.clock.after(ms, () => {
      // Progress since then prolongs the budget.
      const leftMs = this.#state === 'running' ? this.#leftMs() : 0
      if (leftMs > 0) this.#watch(leftMs)
      else this.#spent()
    })
  }

  #spent(): void {
    if (this.#terms.patience === 'ordinary') {
      if (this.#state === 'running') this.#state = 'late'
      this.#listener.changed(this)
    } else if (this.#state === 'queued') {
      this.trace.abandon('given up: it failed a moment ago', false)
      this.#end()
      this.#listener.changed(this)
    } else {
      const { probeBudgetMs } = this.#options.limits
      this.#failed(new ResolveError('DEADLINE_EXCEEDED', `no answer within ${probeBudgetMs} ms`))
      this.#controller.abort()
    }
  }

  #waiting(what?: Wait): void {
    this.trace.enqueue(what)
    if (this.#state !== 'running') return
    if (this.#isAbandoned) {
      this.#end()
      return
    }
    this.#state = 'queued'
    const { patience } = this.#terms
    if (patience === 'trial' || patience === 'every') this.#cancelBudget()
    else this.#watch(this.#options.limits.probeBudgetMs)
  }

  #entered(): void {
    this.trace.admitted()
    if (this.#state !== 'queued') return
    if (this.#terms.patience === 'ordinary' && this.trace.isResting) {
      this.#end()
      this.#listener.turnedAway?.(this)
      return
    }
    this.#run()
    this.#listener.entered?.(this)
  }

  #succeeded(value: T): void {
    if (this.isDone) return
    this.#finish()
    if (this.#isAbandoned) this.trace.probed()
    else {
      this.trace.answered(value)
      this.#listener.changed(this)
    }
  }

  #failed(error: ResolveError): void {
    if (this.isDone) return
    const { patience } = this.#terms
    this.#finish()
    if (this.#isAbandoned) this.trace.probed(error)
    else {
      this.trace.failed(error, patience === 'lastResort' || patience === 'trial')
      this.#listener.changed(this)
    }
  }

  #refused(error: ResolveError): void {
    if (this.isDone) return
    this.trace.refuse(error)
    this.#finish()
    this.#listener.changed(this)
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
