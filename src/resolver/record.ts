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
import { endedError, failedAttempt, waited, walkError } from './attempt.ts'
import { reportFailure } from './blame.ts'
import { Page } from './page.ts'
import type { Candidate, Health } from './types.ts'
import { hasNoAnswer, isNotDialled } from './unresolved.ts'

/** With these a registry has answered that there is nothing to be had. */
const NO: ReadonlySet<AttemptOutcome> = new Set(['not_found', 'unauthorized', 'denied'])

/** A registry that leads us through more requests than these has them counted, not told. */
const MAX_EXCHANGES = 20

/** What became of each candidate of one inquiry; the health of registries hears of it as it happens. */
export class WalkRecord<T> {
  readonly #pages: ReadonlyMap<Candidate, Page>
  readonly #health: Health
  readonly #clock: Clock
  readonly #begunAt: number
  readonly #isByDigest: boolean
  readonly #answers = new Map<Candidate, T>()

  /** @param isByDigest what is asked for is the same at every candidate */
  constructor(candidates: readonly Candidate[], health: Health, clock: Clock, isByDigest = false) {
    this.#isByDigest = isByDigest
    this.#pages = new Map(candidates.map((candidate) => [candidate, new Page(candidate)] as const))
    this.#health = health
    this.#clock = clock
    this.#begunAt = clock.now()
  }

  get answers(): ReadonlyMap<Candidate, T> {
    return this.#answers
  }

  /** In the order of the candidates. */
  get pages(): readonly Page[] {
    return [...this.#pages.values()]
  }

  /** In the order of the candidates, without those that were not needed. */
  get attempts(): readonly Attempt[] {
    return this.pages.flatMap(({ attempt }) => attempt ?? [])
  }

  /** undefined: not asked, and not passed over either. */
  outcome(candidate: Candidate): AttemptOutcome | undefined {
    return this.#page(candidate).attempt?.outcome
  }

  /** Milliseconds since the beginning; undefined: not asked. */
  startedMs({ startedAt }: Page): number | undefined {
    return startedAt === undefined ? undefined : startedAt - this.#begunAt
  }

  admits({ registry, repository }: Candidate): boolean {
    return this.#health.admit(registry, repository)
  }

  /** Whether it is asked to see whether it works, after it had failed. */
  isOnTrial({ registry, repository }: Candidate): boolean {
    return this.#health.onTrial?.(registry, repository) ?? false
  }

  /** Whether it has failed since it was admitted, when somebody else asked. */
  isResting({ registry, repository }: Candidate): boolean {
    return this.#health.isResting?.(registry, repository) ?? false
  }

  /** Whether silence was what it failed by. */
  isSilent({ registry }: Candidate): boolean {
    return this.#health.isSilent?.(registry) ?? false
  }

  /** Whether a registry answered and said no. */
  get isDenied(): boolean {
    return this.pages.some(
      ({ attempt }) => attempt !== undefined && NO.has(attempt.outcome) && !isNotDialled(attempt),
    )
  }

  /** How a trial went that nobody waited for: what was told of the walk stays as it is. */
  trialEnded(candidate: Candidate, error?: ResolveError): void {
    const { registry, repository } = candidate
    const ms = this.spentMs(candidate)
    if (error === undefined) this.#health.success(registry, { ms, repository })
    else reportFailure(this.#health, candidate, failedAttempt(registry, error, ms), error)
  }

  /** @returns whether it may be asked as a last resort: it rests, and did not ask for quiet */
  passedOver(candidate: Candidate): boolean {
    const retryAfterMs = this.#health.parkedMs(candidate.registry)
    const parked = retryAfterMs > 0
    const message = parked ? 'not asked: it asked for a pause' : 'not asked: it failed a moment ago'
    const page = this.#page(candidate)
    page.skip(message)
    if (parked) page.error = new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
    return !parked
  }

  /** @param error why it may not be asked at all; nothing is said of the registry itself */
  barred(candidate: Candidate, error: ResolveError): void {
    const page = this.#page(candidate)
    page.skip(error.message)
    page.error = error
  }

  begun(candidate: Candidate): void {
    this.#page(candidate).begin(this.#clock.now())
  }

  /** It stands in line at its registry, where many ask: that is nobody's fault, and does not count. */
  waiting(candidate: Candidate, what?: Wait): void {
    this.#page(candidate).wait(this.#clock.now(), what)
  }

  entered(candidate: Candidate): void {
    this.#page(candidate).enter(this.#clock.now())
  }

  /** Milliseconds of asking it. */
  spentMs(candidate: Candidate): number {
    return this.#page(candidate).spentMs(this.#clock.now())
  }

  /** Milliseconds without progress: what hedge delay and budget are about. */
  silentMs(candidate: Candidate): number {
    return this.#page(candidate).silentMs(this.#clock.now())
  }

  /** Its time counts from now, as after an answer. */
  progressed(candidate: Candidate): void {
    this.#page(candidate).progress(this.#clock.now())
  }

  /**
   * Writes down every request that was made for its sake; each that was answered is progress.
   *
   * @param registry who is asked, where that is somebody else
   */
  observer(candidate: Candidate, registry = candidate.registry): (exchange: Exchange) => void {
    const { exchanges } = this.#page(candidate)
    return (exchange) => {
      if (exchange.status !== undefined) this.progressed(candidate)
      if (exchange.rateLimit !== undefined) this.#health.remaining?.(registry, exchange.rateLimit)
      if (exchanges.length < MAX_EXCHANGES) exchanges.push(exchange)
    }
  }

  /** It says what the reference points at, and was asked for nothing else. */
  named(candidate: Candidate, digest: string): void {
    this.#page(candidate).named = digest
  }

  namedBy(candidate: Candidate): string | undefined {
    return this.#page(candidate).named
  }

  answered(candidate: Candidate, value: T): void {
    const { registry, repository } = candidate
    const ms = this.spentMs(candidate)
    this.#health.success(registry, { ms, repository })
    this.#answers.set(candidate, value)
    this.#page(candidate).attempt = { registry, step: 'manifest', outcome: 'ok', ms }
  }

  /** @param isDoubted it was asked although it had failed before, so that this is no news */
  failed(candidate: Candidate, error: ResolveError, isDoubted = false): void {
    const page = this.#page(candidate)
    page.isDoubted = isDoubted
    page.attempt = failedAttempt(candidate.registry, error, this.spentMs(candidate))
    page.error = error
    reportFailure(this.#health, candidate, page.attempt, error)
  }

  /** @param tooSlow it let its whole budget pass, and must not cost it again next time */
  abandoned(candidate: Candidate, message: string, tooSlow: boolean): void {
    const { registry, repository } = candidate
    const page = this.#page(candidate)
    const unaskedMs = page.unaskedMs(this.#clock.now())
    if (unaskedMs !== undefined) {
      page.skip(`not asked: ${waited(unaskedMs, page.waits)}, then ${message}`)
      return
    }
    if (tooSlow) this.#health.failure(registry, { code: 'DEADLINE_EXCEEDED', message, repository })
    const outcome = tooSlow ? 'timeout' : 'canceled'
    const ms = this.spentMs(candidate)
    page.attempt = { registry, step: 'manifest', outcome, ms, message }
  }

  /**
   * One error for a walk in which nobody had the image. That a registry which is known to fail still does
   * is told, but does not make of the no of another one a failure that could pass.
   */
  error(what: string): ResolveError {
    const isDenied = this.isDenied
    return walkError(
      what,
      this.pages.flatMap(({ error, isDoubted }) => (isDenied && isDoubted ? [] : (error ?? []))),
      this.attempts,
      this.#found(),
      this.#artifact(),
    )
  }

  /** For an inquiry that its signal ended. What was found before a deadline is an answer, as in `error`. */
  ended(what: string, reason: unknown): ResolveError {
    const artifact = this.#artifact()
    if (artifact !== undefined && toResolveError(reason).code === 'DEADLINE_EXCEEDED') {
      return walkError(what, [], this.attempts, this.#found(), artifact)
    }
    const now = this.#clock.now()
    const waits = this.pages.flatMap((page) => {
      const ms = page.unaskedMs(now)
      return ms === undefined ? [] : `${page.candidate.registry}: ${waited(ms, page.waits)}`
    })
    return endedError(what, reason, this.attempts, waits, this.#found())
  }

  /** Of the first that has something, though no image. */
  #found(): FoundManifest | undefined {
    for (const { candidate, error } of this.pages) {
      if (error?.found !== undefined) return { ...error.found, registry: candidate.registry }
    }
    return undefined
  }

  /**
   * What the first registry has that has something, though no image; undefined: there is none, or one before
   * it did not say what it has, and it is not by digest that was asked.
   */
  #artifact(): ResolveError | undefined {
    for (const { attempt, error } of this.pages) {
      if (error?.found !== undefined) return error
      const isOpen = attempt !== undefined && hasNoAnswer(attempt, error)
      if (isOpen && !this.#isByDigest) return undefined
    }
    return undefined
  }

  #page(candidate: Candidate): Page {
    return this.#pages.get(candidate) as Page
  }
}
