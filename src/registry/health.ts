import type { ErrorCode } from '../errors.ts'
import { BoundedMap } from './bounded-map.ts'
import { Breaker, type BreakerState } from './breaker.ts'
import type { RateLimit } from './image.ts'

export interface RegistryHealthOptions {
  /** Milliseconds since the epoch; what reports tell times in. */
  readonly now: () => number
  /** Milliseconds of a clock that nobody sets; what pauses are measured with. */
  readonly steady: () => number
  /** 0 to 1; spreads the probes of many nodes. Default Math.random. */
  readonly random?: () => number
}

/** What is known of one registry. Times are milliseconds since the epoch. */
export interface HealthReport {
  readonly registry: string
  readonly state: BreakerState
  /** In a row. */
  readonly failures: number
  /** It failed, and is not asked before this. */
  readonly openUntil?: number
  /** It asked for a pause (429), and is not asked before this. */
  readonly parkedUntil?: number
  /** Moving average over successes, of which the last one counts a fifth. */
  readonly latencyMs?: number
  readonly lastSuccessAt?: number
  readonly lastFailureAt?: number
  /** Of the last failure, also after a success. */
  readonly lastError?: { readonly code: ErrorCode; readonly message: string }
  /** As the registry said last, while its window lasts. */
  readonly rateLimit?: RateLimit
}

export interface FailureDetails {
  /** It answered 429. */
  readonly retryAfterMs?: number
  readonly code?: ErrorCode
  /** One line without secrets. */
  readonly message?: string
}

interface Vitals {
  latencyMs?: number
  lastSuccessAt?: number
  lastFailureAt?: number
  lastError?: { readonly code: ErrorCode; readonly message: string }
  rateLimit?: RateLimit
  /** Of the steady clock. */
  rateLimitUntil?: number
}

const MAX_REGISTRIES = 1_000
const MAX_MESSAGE = 300
const NEWEST_SHARE = 0.2

/** The health of registries: whom the breaker lets us ask, and what people want to see of it. */
export class RegistryHealth {
  readonly #now: () => number
  readonly #steady: () => number
  readonly #breaker: Breaker
  readonly #vitals = new BoundedMap<Vitals>(MAX_REGISTRIES)

  constructor({ now, steady, random = Math.random }: RegistryHealthOptions) {
    this.#now = now
    this.#steady = steady
    this.#breaker = new Breaker({ now: steady, random })
  }

  admit(registry: string): boolean {
    return this.#breaker.admit(registry)
  }

  onTrial(registry: string): boolean {
    return this.#breaker.onTrial(registry)
  }

  parkedMs(registry: string): number {
    return this.#breaker.parkedMs(registry)
  }

  /** @param details `ms`: how long the whole answer took */
  success(registry: string, { ms }: { readonly ms?: number } = {}): void {
    this.#breaker.success(registry)
    const vitals = this.#of(registry)
    vitals.lastSuccessAt = this.#now()
    if (ms === undefined || !(ms >= 0)) return
    const before = vitals.latencyMs ?? ms
    vitals.latencyMs = before + (ms - before) * NEWEST_SHARE
  }

  failure(registry: string, details: FailureDetails = {}): void {
    this.#breaker.failure(registry, details)
    const vitals = this.#of(registry)
    vitals.lastFailureAt = this.#now()
    const { code = 'UNKNOWN', message = '' } = details
    vitals.lastError = { code, message: message.slice(0, MAX_MESSAGE) }
  }

  /**
   * Told and no more. Docker Hub counts GETs of manifests, not HEADs: with nothing left, most of what
   * we ask is answered still, and it says by 429 when it is not.
   */
  remaining(registry: string, rateLimit: RateLimit): void {
    const { windowSeconds } = rateLimit
    const vitals = this.#of(registry)
    vitals.rateLimit = rateLimit
    vitals.rateLimitUntil =
      windowSeconds === undefined
        ? Number.POSITIVE_INFINITY
        : this.#steady() + windowSeconds * 1_000
  }

  /** @returns for one that was never asked: closed, and nothing else */
  report(registry: string): HealthReport {
    const state = this.#breaker.state(registry)
    const until = this.#now() + Math.ceil(this.#breaker.restMs(registry))
    const { rateLimit, rateLimitUntil = 0, latencyMs, ...told } = this.#vitals.get(registry) ?? {}
    return {
      registry,
      state,
      failures: this.#breaker.failures(registry),
      ...(state === 'open' ? { openUntil: until } : {}),
      ...(state === 'parked' ? { parkedUntil: until } : {}),
      ...(latencyMs === undefined ? {} : { latencyMs: Math.round(latencyMs * 10) / 10 }),
      ...told,
      ...(rateLimit !== undefined && this.#steady() < rateLimitUntil ? { rateLimit } : {}),
    }
  }

  /** Every registry that was heard of lately, origins of references included; 1000 at most, by name. */
  reports(): readonly HealthReport[] {
    return [...this.#vitals.keys()].sort().map((registry) => this.report(registry))
  }

  /** Heard of now, so the last to be forgotten. */
  #of(registry: string): Vitals {
    const vitals = this.#vitals.get(registry) ?? {}
    this.#vitals.set(registry, vitals)
    return vitals
  }
}
