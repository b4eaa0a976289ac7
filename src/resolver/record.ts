import { type Attempt, type AttemptOutcome, ResolveError } from '../errors.ts'
import type { Exchange } from '../registry/image.ts'
import { failedAttempt, UNHEALTHY, walkError } from './attempt.ts'
import type { Clock } from './clock.ts'
import type { Candidate, Health } from './types.ts'

/** What became of one candidate so far. */
export interface Page {
  readonly candidate: Candidate
  attempt?: Attempt
  error?: ResolveError
  /** Since the beginning; absent: not asked. */
  startedMs?: number
  readonly exchanges: Exchange[]
}

/** For a 429 without Retry-After. */
const DEFAULT_PAUSE_MS = 10_000

/** A registry that leads us through more requests than these has them counted, not told. */
const MAX_EXCHANGES = 20

/** What became of each candidate of one inquiry; the health of registries hears of it as it happens. */
export class WalkRecord<T> {
  readonly #pages: ReadonlyMap<Candidate, Page>
  readonly #health: Health
  readonly #clock: Clock
  readonly #begunAt: number
  readonly #answers = new Map<Candidate, T>()

  constructor(candidates: readonly Candidate[], health: Health, clock: Clock) {
    this.#pages = new Map(
      candidates.map((candidate) => [candidate, { candidate, exchanges: [] }] as const),
    )
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

  admits({ registry }: Candidate): boolean {
    return this.#health.admit(registry)
  }

  /** Whether it was let through after a rest, to see whether it works again. */
  isOnTrial({ registry }: Candidate): boolean {
    return this.#health.onTrial?.(registry) ?? false
  }

  /** How a trial went that nobody waited for: what was told of the walk stays as it is. */
  trialEnded(candidate: Candidate, error?: ResolveError): void {
    const { registry } = candidate
    const ms = this.#elapsedMs(candidate)
    if (error === undefined) this.#health.success(registry, { ms })
    else reportFailure(this.#health, failedAttempt(registry, error, ms), error)
  }

  /** @returns whether it may be asked as a last resort: it rests, and did not ask for quiet */
  passedOver(candidate: Candidate): boolean {
    const retryAfterMs = this.#health.parkedMs(candidate.registry)
    const parked = retryAfterMs > 0
    const message = parked ? 'not asked: it asked for a pause' : 'not asked: it failed a moment ago'
    const page = this.#page(candidate)
    page.attempt = skipped(candidate, message)
    if (parked) page.error = new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
    return !parked
  }

  /** @param error why it may not be asked at all; nothing is said of the registry itself */
  barred(candidate: Candidate, error: ResolveError): void {
    const page = this.#page(candidate)
    page.attempt = skipped(candidate, error.message)
    page.error = error
  }

  begun(candidate: Candidate): void {
    const page = this.#page(candidate)
    page.startedMs = this.#clock.now() - this.#begunAt
    delete page.attempt
    delete page.error
  }

  /**
   * Writes down every request that was made for its sake.
   *
   * @param registry who is asked, where that is somebody else
   */
  observer(candidate: Candidate, registry = candidate.registry): (exchange: Exchange) => void {
    const { exchanges } = this.#page(candidate)
    return (exchange) => {
      if (exchange.rateLimit !== undefined) this.#health.remaining?.(registry, exchange.rateLimit)
      if (exchanges.length < MAX_EXCHANGES) exchanges.push(exchange)
    }
  }

  answered(candidate: Candidate, value: T): void {
    const { registry } = candidate
    const ms = this.#elapsedMs(candidate)
    this.#health.success(registry, { ms })
    this.#answers.set(candidate, value)
    this.#page(candidate).attempt = { registry, step: 'manifest', outcome: 'ok', ms }
  }

  failed(candidate: Candidate, error: ResolveError): void {
    const page = this.#page(candidate)
    page.attempt = failedAttempt(candidate.registry, error, this.#elapsedMs(candidate))
    page.error = error
    reportFailure(this.#health, page.attempt, error)
  }

  /** @param tooSlow it let its whole budget pass, and must not cost it again next time */
  abandoned(candidate: Candidate, message: string, tooSlow: boolean): void {
    const { registry } = candidate
    if (tooSlow) this.#health.failure(registry, { code: 'DEADLINE_EXCEEDED', message })
    const outcome = tooSlow ? 'timeout' : 'canceled'
    const ms = this.#elapsedMs(candidate)
    this.#page(candidate).attempt = { registry, step: 'manifest', outcome, ms, message }
  }

  /** One error for a walk in which nobody had the image. */
  error(what: string): ResolveError {
    return walkError(
      what,
      this.pages.flatMap(({ error }) => error ?? []),
      this.attempts,
    )
  }

  #elapsedMs(candidate: Candidate): number {
    return this.#clock.now() - this.#begunAt - (this.#page(candidate).startedMs ?? 0)
  }

  #page(candidate: Candidate): Page {
    return this.#pages.get(candidate) as Page
  }
}

/** Tells what an error means for the registry it came from; a refusal shows one that works. */
export function reportFailure(health: Health, attempt: Attempt, error: ResolveError): void {
  const { ms, outcome, registry } = attempt
  if (!UNHEALTHY.has(outcome)) {
    health.success(registry, { ms })
    return
  }
  const { code, message } = error
  const limited = outcome === 'rate_limited'
  const retryAfterMs = error.retryAfterMs ?? DEFAULT_PAUSE_MS
  health.failure(registry, { code, message, ...(limited && { retryAfterMs }) })
}

function skipped({ registry }: Candidate, message: string): Attempt {
  return { registry, step: 'connect', outcome: 'skipped', ms: 0, message }
}
