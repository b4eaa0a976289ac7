import { LRUCache } from 'lru-cache'
import type { ErrorCode } from '../errors.ts'
import { Breaker, type BreakerState } from './breaker.ts'
import type { RateLimit } from './image.ts'

export interface RegistryHealthOptions {
  /** Milliseconds since the epoch, for the times in reports. */
  readonly now: () => number
  /** Milliseconds of a monotonic clock, for pauses. */
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
  /** It failed, and gets no request before this. */
  readonly openUntil?: number
  /** It answered 429, and gets no request before this. */
  readonly parkedUntil?: number
  /** Moving average over successes, of which the last one counts a fifth. */
  readonly latencyMs?: number
  readonly lastSuccessAt?: number
  readonly lastFailureAt?: number
  /** Of the last failure, also after a success. */
  readonly lastError?: { readonly code: ErrorCode; readonly message: string }
  /** From its last response with one, while the window lasts. */
  readonly rateLimit?: RateLimit
}

export interface FailureDetails {
  /** It answered 429. */
  readonly retryAfterMs?: number
  readonly code?: ErrorCode
  /** One line without secrets. */
  readonly message?: string
  /** The cause may be this repository alone. Absent: it is the registry, which cannot be reached. */
  readonly repository?: string
}

export interface SuccessDetails {
  /** Duration of the whole attempt. */
  readonly ms?: number
  readonly repository?: string
}

/** What reports tell of a registry beside its breaker. */
interface Vitals {
  /** Repositories that failed since the registry last answered; no more than FAILING_REPOSITORIES. */
  readonly failing: Set<string>
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
/** So many failing repositories open the breaker of the registry. */
const FAILING_REPOSITORIES = 3
const NEWEST_SHARE = 0.2

/**
 * The memory of failures: a breaker for each registry and each repository, and what reports tell.
 *
 * A registry that cannot be reached opens its own breaker at once. Errors and silence may be due to the
 * repository, and any caller can name one that provokes them: they open the breaker for that repository
 * first. Other repositories keep using the registry, beside the next candidate, until it answers for one of
 * them. Three failing repositories in a row open the breaker of the registry.
 */
export class RegistryHealth {
  readonly #now: () => number
  readonly #steady: () => number
  /** Of registries by their names, of repositories by `nameOf`. */
  readonly #breaker: Breaker
  readonly #vitals = new LRUCache<string, Vitals>({ max: MAX_REGISTRIES })

  constructor({ now, steady, random = Math.random }: RegistryHealthOptions) {
    this.#now = now
    this.#steady = steady
    this.#breaker = new Breaker({ now: steady, random })
  }

  /** @param repository below `/v2/` there; absent: any */
  admit(registry: string, repository = ''): boolean {
    const name = nameOf(registry, repository)
    // Without taking the place of its probe: the breaker of the registry may refuse.
    if (this.#breaker.restMs(name) > 0 || !this.#breaker.admit(registry)) return false
    return this.#breaker.admit(name)
  }

  /** Whether a request to it is a probe after a failure. */
  onTrial(registry: string, repository = ''): boolean {
    if (this.#failing(registry) > 0 || this.#breaker.onTrial(registry)) return true
    return this.#breaker.onTrial(nameOf(registry, repository))
  }

  /** Whether it failed, and no probe has been admitted yet. */
  isResting(registry: string, repository = ''): boolean {
    const name = nameOf(registry, repository)
    const states = [this.#breaker.state(registry), this.#breaker.state(name)]
    return states.some((state) => state === 'open' || state === 'parked')
  }

  /** Whether its last failure was a time-out; only meaningful until it recovers. */
  isSilent(registry: string): boolean {
    return this.#vitals.get(registry)?.lastError?.code === 'DEADLINE_EXCEEDED'
  }

  parkedMs(registry: string): number {
    return this.#breaker.parkedMs(registry)
  }

  success(registry: string, { ms, repository = '' }: SuccessDetails = {}): void {
    this.#breaker.success(registry)
    this.#breaker.success(nameOf(registry, repository))
    const vitals = this.#of(registry)
    vitals.failing.clear()
    vitals.lastSuccessAt = this.#now()
    if (ms === undefined || !(ms >= 0)) return
    const before = vitals.latencyMs ?? ms
    vitals.latencyMs = before + (ms - before) * NEWEST_SHARE
  }

  failure(registry: string, details: FailureDetails = {}): void {
    const { code = 'UNKNOWN', message = '', repository, retryAfterMs } = details
    if (repository === undefined || retryAfterMs !== undefined) {
      this.#breaker.failure(registry, details)
    } else this.#failedFor(registry, repository)
    const vitals = this.#of(registry)
    vitals.lastFailureAt = this.#now()
    vitals.lastError = { code, message: message.slice(0, MAX_MESSAGE) }
  }

  /**
   * Only for reports. Docker Hub counts GETs of manifests, not HEADs: with nothing left most requests are
   * still answered, and 429 says when they are not.
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

  /** @returns for an unknown registry: closed, and nothing else */
  report(registry: string): HealthReport {
    const state = this.#stateOf(registry)
    const until = this.#now() + Math.ceil(this.#breaker.restMs(registry))
    const known: Partial<Vitals> = this.#vitals.get(registry) ?? {}
    const { failing, latencyMs, rateLimit, rateLimitUntil = 0, ...told } = known
    return {
      registry,
      state,
      failures: Math.max(this.#breaker.failures(registry), failing?.size ?? 0),
      ...(state === 'open' ? { openUntil: until } : {}),
      ...(state === 'parked' ? { parkedUntil: until } : {}),
      ...(latencyMs === undefined ? {} : { latencyMs: Math.round(latencyMs * 10) / 10 }),
      ...told,
      ...(rateLimit !== undefined && this.#steady() < rateLimitUntil ? { rateLimit } : {}),
    }
  }

  #failedFor(registry: string, repository: string): void {
    this.#breaker.failure(nameOf(registry, repository))
    const { failing } = this.#of(registry)
    if (failing.size < FAILING_REPOSITORIES) failing.add(repository)
    if (failing.size >= FAILING_REPOSITORIES) this.#breaker.failure(registry)
    // It can be reached again: this repository must not keep it closed for the others.
    else if (this.#breaker.state(registry) === 'half-open') this.#breaker.success(registry)
  }

  #stateOf(registry: string): BreakerState {
    const state = this.#breaker.state(registry)
    return state === 'closed' && this.#failing(registry) > 0 ? 'half-open' : state
  }

  #failing(registry: string): number {
    return this.#vitals.get(registry)?.failing.size ?? 0
  }

  #of(registry: string): Vitals {
    const vitals = this.#vitals.get(registry) ?? { failing: new Set() }
    this.#vitals.set(registry, vitals)
    return vitals
  }
}

/** The breaker of a repository. Neither names of registries nor repositories contain a space. */
function nameOf(registry: string, repository: string): string {
  return `${registry} ${repository}`
}
