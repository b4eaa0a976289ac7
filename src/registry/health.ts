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
  /** What was asked for: it may be at fault alone. Absent: the registry is, if it cannot be reached. */
  readonly repository?: string
}

export interface SuccessDetails {
  /** How long the whole answer took. */
  readonly ms?: number
  readonly repository?: string
}

/** What is kept of a registry beside its breaker. */
interface Vitals {
  /** Repositories that failed in a row since the registry answered for anything; no more than are enough. */
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
/** So many repositories failed in a row: it is not about one of them. */
const ENOUGH_FAILING = 3
const NEWEST_SHARE = 0.2

/**
 * The one memory of failures: a breaker for each registry and one for each repository, and what reports tell.
 *
 * A registry that cannot be reached is left alone at once, for everything. Errors and silence may be due to
 * what was asked, and any caller can ask for what breaks a registry; so that repository rests alone, and the
 * registry is on trial: asked beside others, until it answers for something. Three repositories that fail in
 * a row open the registry's breaker as well.
 */
export class RegistryHealth {
  readonly #now: () => number
  readonly #steady: () => number
  readonly #breaker: Breaker
  readonly #repositories: Breaker
  readonly #vitals = new BoundedMap<Vitals>(MAX_REGISTRIES)

  constructor({ now, steady, random = Math.random }: RegistryHealthOptions) {
    this.#now = now
    this.#steady = steady
    this.#breaker = new Breaker({ now: steady, random })
    this.#repositories = new Breaker({ now: steady, random })
  }

  /** @param repository below `/v2/` there; absent: anything */
  admit(registry: string, repository = ''): boolean {
    const name = nameOf(registry, repository)
    // Asked first without taking its place: the registry itself may say no.
    if (this.#repositories.restMs(name) > 0 || !this.#breaker.admit(registry)) return false
    return this.#repositories.admit(name)
  }

  /** Whether it is asked to see if it works, after it had failed. */
  onTrial(registry: string, repository = ''): boolean {
    if (this.#failing(registry) > 0 || this.#breaker.onTrial(registry)) return true
    return this.#repositories.onTrial(nameOf(registry, repository))
  }

  /** Whether it has failed, and nobody is to see yet whether it works again. */
  isResting(registry: string, repository = ''): boolean {
    const name = nameOf(registry, repository)
    const states = [this.#breaker.state(registry), this.#repositories.state(name)]
    return states.some((state) => state === 'open' || state === 'parked')
  }

  /** Whether its last failure was that it did not answer in time; said of one that has not recovered since. */
  isSilent(registry: string): boolean {
    return this.#vitals.get(registry)?.lastError?.code === 'DEADLINE_EXCEEDED'
  }

  parkedMs(registry: string): number {
    return this.#breaker.parkedMs(registry)
  }

  success(registry: string, { ms, repository = '' }: SuccessDetails = {}): void {
    this.#breaker.success(registry)
    this.#repositories.success(nameOf(registry, repository))
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

  /** Every registry that was heard of lately, origins of references included; 1000 at most, by name. */
  reports(): readonly HealthReport[] {
    return [...this.#vitals.keys()].sort().map((registry) => this.report(registry))
  }

  #failedFor(registry: string, repository: string): void {
    this.#repositories.failure(nameOf(registry, repository))
    const { failing } = this.#of(registry)
    if (failing.size < ENOUGH_FAILING) failing.add(repository)
    if (failing.size >= ENOUGH_FAILING) this.#breaker.failure(registry)
    // It can be reached again: what asks for this alone must not keep it closed for the others.
    else if (this.#breaker.state(registry) === 'half-open') this.#breaker.success(registry)
  }

  #stateOf(registry: string): BreakerState {
    const state = this.#breaker.state(registry)
    return state === 'closed' && this.#failing(registry) > 0 ? 'half-open' : state
  }

  #failing(registry: string): number {
    return this.#vitals.get(registry)?.failing.size ?? 0
  }

  /** Heard of now, so the last to be forgotten. */
  #of(registry: string): Vitals {
    const vitals = this.#vitals.get(registry) ?? { failing: new Set() }
    this.#vitals.set(registry, vitals)
    return vitals
  }
}

/** A space is in no repository, and in no name of a registry that could be mistaken for another. */
function nameOf(registry: string, repository: string): string {
  return `${registry} ${repository}`
}
