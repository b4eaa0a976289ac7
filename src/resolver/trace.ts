import type { Clock } from '../concurrency/clock.ts'
import type { Wait } from '../concurrency/semaphore.ts'
import {
  type Attempt,
  type AttemptOutcome,
  type FoundManifest,
  ResolveError,
  toResolveError,
} from '../errors.ts'
import type { Exchange } from '../registry/image.ts'
import { endedError, failedAttempt, reportHealth, waited, walkError } from './attempt.ts'
import { CandidateTrace } from './candidate-trace.ts'
import type { Candidate, Health } from './types.ts'
import { hasNoAnswer, isNotDialled } from './unresolved.ts'

/** With these a registry has answered that there is nothing to be had. */
const NO: ReadonlySet<AttemptOutcome> = new Set(['not_found', 'unauthorized', 'denied'])

/** A registry that leads us through more requests than these has them counted, not told. */
const MAX_EXCHANGES = 20

/** What became of each candidate of one run; the health of registries hears of it as it happens. */
export class ResolveTrace<T> {
  readonly #traces: ReadonlyMap<Candidate, CandidateTrace>
  readonly #health: Health
  readonly #clock: Clock
  readonly #begunAt: number
  readonly #isByDigest: boolean
  readonly #answers = new Map<Candidate, T>()

  /** @param isByDigest what is asked for is the same at every candidate */
  constructor(candidates: readonly Candidate[], health: Health, clock: Clock, isByDigest = false) {
    this.#isByDigest = isByDigest
    this.#traces = new Map(
      candidates.map((candidate) => [candidate, new CandidateTrace(candidate)] as const),
    )
    this.#health = health
    this.#clock = clock
    this.#begunAt = clock.now()
  }

  get answers(): ReadonlyMap<Candidate, T> {
    return this.#answers
  }

  /** In the order of the candidates. */
  get traces(): readonly CandidateTrace[] {
    return [...this.#traces.values()]
  }

  /** In the order of the candidates, without those that were not needed. */
  get attempts(): readonly Attempt[] {
    return this.traces.flatMap(({ attempt }) => attempt ?? [])
  }

  /** undefined: not asked, and not passed over either. */
  outcome(candidate: Candidate): AttemptOutcome | undefined {
    return this.#of(candidate).attempt?.outcome
  }

  /** Milliseconds since the beginning; undefined: not asked. */
  startedMs({ startedAt }: CandidateTrace): number | undefined {
    return startedAt === undefined ? undefined : startedAt - this.#begunAt
  }

  admits({ registry, repository }: Candidate): boolean {
    return this.#health.admit(registry, repository)
  }

  /** Whether it is asked to see whether it works, after it had failed. */
  isOnTrial({ registry, repository }: Candidate): boolean {
    return this.#health.onTrial?.(registry, repository) ?? false
  }

  /** Whether it has failed since it was admitted, for another caller. */
  isResting({ registry, repository }: Candidate): boolean {
    return this.#health.isResting?.(registry, repository) ?? false
  }

  /** Whether silence was what it failed by. */
  isSilent({ registry }: Candidate): boolean {
    return this.#health.isSilent?.(registry) ?? false
  }

  /** Whether a registry answered and said no. */
  get isDenied(): boolean {
    return this.traces.some(
      ({ attempt }) => attempt !== undefined && NO.has(attempt.outcome) && !isNotDialled(attempt),
    )
  }

  /** How a trial went that was not waited for: the attempts stay as they are. */
  trialEnded(candidate: Candidate, error?: ResolveError): void {
    const { registry, repository } = candidate
    const ms = this.spentMs(candidate)
    if (error === undefined) this.#health.success(registry, { ms, repository })
    else reportHealth(this.#health, candidate, failedAttempt(registry, error, ms), error)
  }

  /** @returns whether it may be asked as a last resort: it rests, and did not ask for quiet */
  passedOver(candidate: Candidate): boolean {
    const retryAfterMs = this.#health.parkedMs(candidate.registry)
    const parked = retryAfterMs > 0
    const message = parked ? 'not asked: it asked for a pause' : 'not asked: it failed a moment ago'
    const trace = this.#of(candidate)
    trace.skip(message)
    if (parked) trace.error = new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
    return !parked
  }

  /** @param error why it may not be asked at all; nothing is said of the registry itself */
  refused(candidate: Candidate, error: ResolveError): void {
    const trace = this.#of(candidate)
    trace.skip(error.message)
    trace.error = error
  }

  begun(candidate: Candidate): void {
    this.#of(candidate).begin(this.#clock.now())
  }

  /** It waits in the queue of a busy registry: that does not count against it. */
  waiting(candidate: Candidate, what?: Wait): void {
    this.#of(candidate).wait(this.#clock.now(), what)
  }

  entered(candidate: Candidate): void {
    this.#of(candidate).enter(this.#clock.now())
  }

  /** Milliseconds of asking it. */
  spentMs(candidate: Candidate): number {
    return this.#of(candidate).spentMs(this.#clock.now())
  }

  /** Milliseconds without progress: what hedge delay and budget are about. */
  silentMs(candidate: Candidate): number {
    return this.#of(candidate).silentMs(this.#clock.now())
  }

  /** Its time counts from now, as after an answer. */
  progressed(candidate: Candidate): void {
    this.#of(candidate).progress(this.#clock.now())
  }

  /**
   * Writes down every request that was made for its sake; each that was answered is progress.
   *
   * @param registry which one is asked, where that is another one
   */
  observer(candidate: Candidate, registry = candidate.registry): (exchange: Exchange) => void {
    const { exchanges } = this.#of(candidate)
    return (exchange) => {
      if (exchange.status !== undefined) this.progressed(candidate)
      if (exchange.rateLimit !== undefined) this.#health.remaining?.(registry, exchange.rateLimit)
      if (exchanges.length < MAX_EXCHANGES) exchanges.push(exchange)
    }
  }

  /** It says what the reference points at, and was asked for nothing else. */
  named(candidate: Candidate, digest: string): void {
    this.#of(candidate).named = digest
  }

  namedBy(candidate: Candidate): string | undefined {
    return this.#of(candidate).named
  }

  answered(candidate: Candidate, value: T): void {
    const { registry, repository } = candidate
    const ms = this.spentMs(candidate)
    this.#health.success(registry, { ms, repository })
    this.#answers.set(candidate, value)
    this.#of(candidate).attempt = { registry, step: 'manifest', outcome: 'ok', ms }
  }

  /** @param isDoubted it was asked although it had failed before, so that this is no news */
  failed(candidate: Candidate, error: ResolveError, isDoubted = false): void {
    const trace = this.#of(candidate)
    trace.isDoubted = isDoubted
    trace.attempt = failedAttempt(candidate.registry, error, this.spentMs(candidate))
    trace.error = error
    reportHealth(this.#health, candidate, trace.attempt, error)
  }

  /** @param tooSlow it let its whole budget pass, and must not cost it again next time */
  abandoned(candidate: Candidate, message: string, tooSlow: boolean): void {
    const { registry, repository } = candidate
    const trace = this.#of(candidate)
    const unaskedMs = trace.unaskedMs(this.#clock.now())
    if (unaskedMs !== undefined) {
      trace.skip(`not asked: ${waited(unaskedMs, trace.waits)}, then ${message}`)
      return
    }
    if (tooSlow) this.#health.failure(registry, { code: 'DEADLINE_EXCEEDED', message, repository })
    const outcome = tooSlow ? 'timeout' : 'canceled'
    const ms = this.spentMs(candidate)
    trace.attempt = { registry, step: 'manifest', outcome, ms, message }
  }

  /**
   * One error for a run in which no registry had the image. That a registry which is known to fail still does
   * is told, but does not make of the no of another one a failure that could pass.
   */
  error(what: string): ResolveError {
    const isDenied = this.isDenied
    return walkError(
      what,
      this.traces.flatMap(({ error, isDoubted }) => (isDenied && isDoubted ? [] : (error ?? []))),
      this.attempts,
      this.#found(),
      this.#artifact(),
    )
  }

  /** For a run that its signal ended. What was found before a deadline is an answer, as in `error`. */
  ended(what: string, reason: unknown): ResolveError {
    const artifact = this.#artifact()
    if (artifact !== undefined && toResolveError(reason).code === 'DEADLINE_EXCEEDED') {
      return walkError(what, [], this.attempts, this.#found(), artifact)
    }
    const now = this.#clock.now()
    const waits = this.traces.flatMap((trace) => {
      const ms = trace.unaskedMs(now)
      return ms === undefined ? [] : `${trace.candidate.registry}: ${waited(ms, trace.waits)}`
    })
    return endedError(what, reason, this.attempts, waits, this.#found())
  }

  /** Of the first that has something, though no image. */
  #found(): FoundManifest | undefined {
    for (const { candidate, error } of this.traces) {
      if (error?.found !== undefined) return { ...error.found, registry: candidate.registry }
    }
    return undefined
  }

  /**
   * What the first registry has that has something, though no image; undefined: there is none, or one before
   * it did not say what it has, and it is not by digest that was asked.
   */
  #artifact(): ResolveError | undefined {
    for (const { attempt, error } of this.traces) {
      if (error?.found !== undefined) return error
      const isOpen = attempt !== undefined && hasNoAnswer(attempt, error)
      if (isOpen && !this.#isByDigest) return undefined
    }
    return undefined
  }

  #of(candidate: Candidate): CandidateTrace {
    return this.#traces.get(candidate) as CandidateTrace
  }
}
