import type { Clock } from '../concurrency/clock.ts'
import type { Wait } from '../concurrency/semaphore.ts'
import { type Attempt, type FoundManifest, ResolveError, toResolveError } from '../errors.ts'
import type { Exchange, ObserveExchange } from '../registry/image.ts'
import { type Span, tracing, within } from '../telemetry/tracing.ts'
import { attemptSpan, endAttempt } from './spans.ts'
import type { Candidate, Health } from './types.ts'
import { hasNoAnswer, isDenial, reportFailure, unresolvedError } from './unresolved-error.ts'

const BUSY = '; so many questions were put at once; ask again, or fewer at a time'
/** Further exchanges with one candidate are not recorded. */
const MAX_EXCHANGES = 20

/**
 * What became of one candidate so far, and how long that took. Every outcome is reported to the health of
 * registries as it happens.
 */
export class CandidateTrace<T> {
  readonly candidate: Candidate
  /** In the order of candidates; 0 is the best. */
  readonly index: number
  readonly exchanges: Exchange[] = []
  /** undefined: it was neither asked nor passed over. */
  attempt: Attempt | undefined
  answer: T | undefined
  error: ResolveError | undefined
  /** The digest that it names, where it was asked for no more than that. */
  named: string | undefined
  /** It was asked although it had failed before. */
  isDoubted = false
  readonly #health: Health
  readonly #clock: Clock
  /** Of the resolution. */
  readonly #begunAt: number
  #startedAt: number | undefined
  #queuedAt: number | undefined
  #waitsFor: Wait = 'in line'
  /** Time in queues since it started. */
  #queuedMs = 0
  /** Of the last request or response, moved on by the time in queues since. */
  #progressAt = 0
  /** Of the resolution. */
  readonly #parent = tracing?.active()
  #span: Span | undefined

  constructor(candidate: Candidate, index: number, health: Health, clock: Clock, begunAt: number) {
    this.candidate = candidate
    this.index = index
    this.#health = health
    this.#clock = clock
    this.#begunAt = begunAt
  }

  /** From the beginning of the resolution, in milliseconds; undefined: not asked. */
  get startedMs(): number | undefined {
    return this.#startedAt === undefined ? undefined : this.#startedAt - this.#begunAt
  }

  /** How long it was asked, in milliseconds, without the time in queues. */
  get spentMs(): number {
    if (this.#startedAt === undefined) return 0
    return (this.#queuedAt ?? this.#clock.now()) - this.#startedAt - this.#queuedMs
  }

  /** Milliseconds without progress, without the time in queues: what hedge delay and budget limit. */
  get silentMs(): number {
    return (this.#queuedAt ?? this.#clock.now()) - this.#progressAt
  }

  /** What it waits for before its first request, and how long it has; undefined: it does not. */
  get unasked(): string | undefined {
    if (this.#queuedAt === undefined || this.exchanges.length > 0) return undefined
    const waitedMs = this.#clock.now() - this.#queuedAt
    return `waited ${(waitedMs / 1_000).toFixed(1)} s ${this.#waitsFor}`
  }

  /** Whether its breakers let a request pass now. */
  admit(): boolean {
    return this.#health.admit(this.candidate.registry, this.candidate.repository)
  }

  /** Whether the admitted request is a probe after a failure. */
  get isOnTrial(): boolean {
    const { registry, repository } = this.candidate
    return this.#health.onTrial(registry, repository)
  }

  /** Whether it has failed since it was admitted, for another caller. */
  get isResting(): boolean {
    const { registry, repository } = this.candidate
    return this.#health.isResting(registry, repository)
  }

  /** Whether its last failure was a time-out. */
  get isSilent(): boolean {
    return this.#health.isSilent(this.candidate.registry)
  }

  /** @returns whether it may be asked as a last resort: it failed, and did not answer 429 */
  passOver(): boolean {
    const retryAfterMs = this.#health.parkedMs(this.candidate.registry)
    const parked = retryAfterMs > 0
    const message = parked ? 'not asked: it asked for a pause' : 'not asked: it failed a moment ago'
    this.#skip(message)
    if (parked) this.error = new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
    return !parked
  }

  /** @param error why it may not be asked; says nothing of the registry's health */
  refuse(error: ResolveError): void {
    this.#skip(error.message)
    this.error = error
  }

  begin(): void {
    const now = this.#clock.now()
    this.#startedAt = now
    this.#progressAt = now
    this.#queuedAt = undefined
    this.#queuedMs = 0
    this.attempt = undefined
    this.error = undefined
    this.isDoubted = false
  }

  /** Sends its requests, as a span that ends with the attempt. */
  send<R>(requests: () => R): R {
    this.#span = tracing?.start('attempt', attemptSpan(this.candidate, this.#parent))
    return within(this.#span, requests)
  }

  /** It waits for its turn at a busy registry, or for credentials. */
  enqueue(what: Wait = 'in line'): void {
    this.#waitsFor = what
    this.#queuedAt = this.#clock.now()
  }

  /** A wait before the first request moves the start; a later one is subtracted. */
  admitted(): void {
    if (this.#queuedAt === undefined) return
    const now = this.#clock.now()
    const waitedMs = now - this.#queuedAt
    if (this.exchanges.length === 0) this.#startedAt = now
    else this.#queuedMs += waitedMs
    this.#progressAt += waitedMs
    this.#queuedAt = undefined
  }

  /** Its budget counts from now. */
  progress(): void {
    this.#progressAt = this.#clock.now()
  }

  /**
   * Records every request for its sake; each response is progress.
   *
   * @param registry the one that is asked, where it is another one
   */
  observer(registry = this.candidate.registry): ObserveExchange {
    return (exchange, rateLimit) => {
      if (exchange.status !== undefined) this.progress()
      if (rateLimit !== undefined) this.#health.remaining(registry, rateLimit)
      if (this.exchanges.length < MAX_EXCHANGES) this.exchanges.push(exchange)
    }
  }

  answered(value: T): void {
    this.answer = value
    this.#ended(this.#report())
  }

  /** @param isDoubted it was asked although it had failed before */
  failed(error: ResolveError, isDoubted = false): void {
    this.isDoubted = isDoubted
    this.error = error
    this.#ended(this.#report(error))
  }

  /** The outcome of a probe after the resolution ended: only the health of the registry learns of it. */
  probed(error?: ResolveError): void {
    this.#report(error)
  }

  #report(error?: ResolveError): Attempt {
    const { registry, repository } = this.candidate
    const ms = this.spentMs
    if (error !== undefined) return reportFailure(this.#health, this.candidate, error, ms)
    this.#health.success(registry, { ms, repository })
    return { registry, step: 'manifest', outcome: 'ok', ms }
  }

  /** @param isLate it used up its budget, which counts as a failure */
  abandon(message: string, isLate: boolean): void {
    const { registry, repository } = this.candidate
    const { unasked } = this
    if (unasked !== undefined) {
      this.#skip(`not asked: ${unasked}, then ${message}`)
      return
    }
    if (isLate) this.#health.failure(registry, { code: 'DEADLINE_EXCEEDED', message, repository })
    const outcome = isLate ? 'timeout' : 'canceled'
    this.#ended({ registry, step: 'manifest', outcome, ms: this.spentMs, message })
  }

  #skip(message: string): void {
    const { registry } = this.candidate
    this.#startedAt = undefined
    this.#ended({ registry, step: 'connect', outcome: 'skipped', ms: 0, message })
  }

  #ended(attempt: Attempt): void {
    this.attempt = attempt
    if (this.#span !== undefined) endAttempt(this.#span, attempt)
    this.#span = undefined
  }
}

/** What became of each candidate of one resolution. */
export class ResolveTrace<T> {
  /** In the order of the candidates. */
  readonly traces: readonly CandidateTrace<T>[]
  readonly #what: string
  readonly #isByDigest: boolean

  /**
   * @param what is asked for: the reference, for error texts
   * @param isByDigest every candidate is asked for the same digest
   */
  constructor(
    what: string,
    candidates: readonly Candidate[],
    health: Health,
    clock: Clock,
    isByDigest = false,
  ) {
    const begunAt = clock.now()
    this.#what = what
    this.#isByDigest = isByDigest
    this.traces = candidates.map(
      (each, index) => new CandidateTrace<T>(each, index, health, clock, begunAt),
    )
  }

  of(candidate: Candidate): CandidateTrace<T> {
    return this.traces.find((trace) => trace.candidate === candidate) as CandidateTrace<T>
  }

  /** In the order of the candidates, without those that were not needed. */
  get attempts(): readonly Attempt[] {
    // A copy, which has no room to grow.
    return [...this.traces.flatMap(({ attempt }) => attempt ?? [])]
  }

  /** Whether a registry answered and does not give the image. */
  get isDenied(): boolean {
    return this.traces.some(({ attempt }) => attempt !== undefined && isDenial(attempt))
  }

  /**
   * The error of a resolution in which no registry had the image, or that its signal ended. Where a registry denied it,
   * one that is known to fail does not make the error one that may pass. An artifact found before a deadline is an answer.
   */
  error(signal: AbortSignal): ResolveError {
    const ending = signal.aborted ? toResolveError(signal.reason) : undefined
    const artifact = this.#artifact()
    const isAnswered = artifact !== undefined && ending?.code === 'DEADLINE_EXCEEDED'
    if (ending !== undefined && !isAnswered) return this.#unfinished(ending)
    const { isDenied } = this
    const errors = this.traces.flatMap(({ error, isDoubted }) =>
      isDenied && isDoubted ? [] : (error ?? []),
    )
    const telling = artifact ? [artifact] : errors
    return unresolvedError(this.#what, telling, this.attempts, this.#found())
  }

  #unfinished(ending: ResolveError): ResolveError {
    const isLate = ending.code === 'DEADLINE_EXCEEDED'
    const waits = this.traces.flatMap(({ candidate, unasked }) =>
      unasked === undefined ? [] : `; ${candidate.registry}: ${unasked}`,
    )
    const busy = waits.some((wait) => wait.endsWith(' in line')) ? BUSY : ''
    const why = isLate ? `out of time${waits.join('')}${busy}` : 'the caller went away'
    return new ResolveError(isLate ? ending.code : 'CANCELED', `${this.#what}: ${why}`, {
      cause: ending,
      attempts: this.attempts,
      found: this.#found(),
    })
  }

  /** What the first registry has that has something, though no image. */
  #found(): FoundManifest | undefined {
    for (const { candidate, error } of this.traces) {
      if (error?.found !== undefined) return { ...error.found, registry: candidate.registry }
    }
    return undefined
  }

  /** Of the same registry, unless one before it may still have the image under the same tag. */
  #artifact(): ResolveError | undefined {
    for (const { attempt, error } of this.traces) {
      if (error?.found !== undefined) return error
      const isOpen = attempt !== undefined && hasNoAnswer(attempt, error)
      if (isOpen && !this.#isByDigest) return undefined
    }
    return undefined
  }
}
