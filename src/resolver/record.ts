import { type Attempt, ResolveError } from '../errors.ts'
import { failedAttempt, UNHEALTHY, walkError } from './attempt.ts'
import type { Candidate, Health } from './types.ts'

/** For a 429 without Retry-After. */
const DEFAULT_PAUSE_MS = 10_000

/** What became of each candidate of one walk; the health of registries hears of it as it happens. */
export class WalkRecord<T> {
  readonly #candidates: readonly Candidate[]
  readonly #health: Health
  readonly #attempts: (Attempt | undefined)[]
  readonly #answers = new Map<Candidate, T>()
  readonly #errors: ResolveError[] = []

  constructor(candidates: readonly Candidate[], health: Health) {
    this.#candidates = candidates
    this.#health = health
    this.#attempts = candidates.map(() => undefined)
  }

  get answers(): ReadonlyMap<Candidate, T> {
    return this.#answers
  }

  /** In the order of the candidates, without those that were not needed. */
  get attempts(): readonly Attempt[] {
    return this.#attempts.filter((attempt) => attempt !== undefined)
  }

  /** @returns whether it may be asked as a last resort: it rests, and did not ask for quiet */
  passedOver(index: number): boolean {
    const { registry } = this.candidate(index)
    const retryAfterMs = this.#health.parkedMs(registry)
    const parked = retryAfterMs > 0
    const message = parked ? 'not asked: it asked for a pause' : 'not asked: it failed a moment ago'
    this.#attempts[index] = { registry, step: 'connect', outcome: 'skipped', ms: 0, message }
    if (parked) this.#errors.push(new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs }))
    return !parked
  }

  answered(index: number, value: T, ms: number): void {
    const candidate = this.candidate(index)
    const { registry } = candidate
    this.#health.success(registry)
    this.#answers.set(candidate, value)
    this.#attempts[index] = { registry, step: 'manifest', outcome: 'ok', ms }
  }

  failed(index: number, error: ResolveError, ms: number): void {
    const { registry } = this.candidate(index)
    const attempt = failedAttempt(registry, error, ms)
    this.#attempts[index] = attempt
    this.#errors.push(error)
    if (!UNHEALTHY.has(attempt.outcome)) {
      this.#health.success(registry)
      return
    }
    const limited = attempt.outcome === 'rate_limited'
    const retryAfterMs = error.retryAfterMs ?? DEFAULT_PAUSE_MS
    this.#health.failure(registry, limited ? { retryAfterMs } : {})
  }

  /** @param tooSlow it let its whole budget pass, and must not cost it again next time */
  abandoned(index: number, ms: number, message: string, tooSlow: boolean): void {
    const { registry } = this.candidate(index)
    if (tooSlow) this.#health.failure(registry)
    const outcome = tooSlow ? 'timeout' : 'canceled'
    this.#attempts[index] = { registry, step: 'manifest', outcome, ms, message }
  }

  candidate(index: number): Candidate {
    return this.#candidates[index] as Candidate
  }

  /** One error for a walk in which nobody had the image. */
  error(what: string): ResolveError {
    return walkError(what, this.#errors, this.attempts)
  }
}
