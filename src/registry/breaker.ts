import { LRUCache } from 'lru-cache'

export interface BreakerOptions {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number
  /** 0 to 1; spreads the probes of many nodes. Default Math.random. */
  readonly random?: () => number
}

/**
 * `closed`: requests pass. `open`: it failed, and none passes for a while. `parked`: it answered 429, and none
 * passes until the wait is over. `half-open`: that time is over, and one probe passes.
 */
export type BreakerState = 'closed' | 'open' | 'half-open' | 'parked'

interface Trouble {
  /** In a row; 0 after a 429, which is no failure. */
  readonly failures: number
  /** No request passes before this. */
  until: number
  readonly parked: boolean
  probing: boolean
}

const FIRST_OPEN_MS = 1_000
const MAX_OPEN_MS = 60_000
const MAX_PARKED_MS = 3_600_000
/** A probe that its caller left and that never reports keeps other ones out for this long. */
const PROBE_LEASE_MS = 10_000
/** Registries and repositories. */
const MAX_NAMES = 2_000

/**
 * A circuit breaker for each name, so that a dead registry costs its time-out once. Opens on the first
 * failure; after 1 s, doubling to 60 s (jitter of a quarter), it admits one probe, and closes when that succeeds.
 * Answers such as 401, 403 and 404 are successes: the registry works.
 */
export class Breaker {
  readonly #now: () => number
  readonly #random: () => number
  readonly #troubles = new LRUCache<string, Trouble>({ max: MAX_NAMES })

  constructor(options: BreakerOptions) {
    this.#now = options.now
    this.#random = options.random ?? Math.random
  }

  /** Whether a request may pass now. The first one after the pause is the probe. */
  admit(name: string): boolean {
    const trouble = this.#troubles.get(name)
    if (trouble === undefined) return true
    if (this.#now() < trouble.until) return false
    trouble.probing = true
    trouble.until = this.#now() + PROBE_LEASE_MS
    return true
  }

  /** Whether a probe is pending after a failure; a 429 is none. */
  onTrial(name: string): boolean {
    const trouble = this.#troubles.get(name)
    return trouble?.probing === true && !trouble.parked
  }

  /** Closes it, unless a 429 came meanwhile. */
  success(name: string): void {
    if (this.parkedMs(name) === 0) this.#troubles.delete(name)
  }

  /** @param details `retryAfterMs`: it answered 429; parked for that long, an hour at most */
  failure(name: string, details: { readonly retryAfterMs?: number } = {}): void {
    const trouble = this.#troubles.get(name)
    if (details.retryAfterMs !== undefined) {
      const until = this.#now() + Math.min(details.retryAfterMs, MAX_PARKED_MS)
      this.#troubles.set(name, { failures: 0, until, parked: true, probing: false })
      return
    }
    // Of the requests that were pending when it opened, only the first failure counts.
    if (trouble !== undefined && !trouble.probing && this.#now() < trouble.until) return
    const failures = (trouble?.failures ?? 0) + 1
    const until = this.#now() + this.#restMs(failures)
    this.#troubles.set(name, { failures, until, parked: false, probing: false })
  }

  state(name: string): BreakerState {
    const trouble = this.#troubles.get(name)
    if (trouble === undefined) return 'closed'
    if (trouble.probing || this.#now() >= trouble.until) return 'half-open'
    return trouble.parked ? 'parked' : 'open'
  }

  /** Since the last success; 0 after a 429. */
  failures(name: string): number {
    return this.#troubles.get(name)?.failures ?? 0
  }

  /** Milliseconds left of the wait that a 429 asked for; 0 without one. */
  parkedMs(name: string): number {
    return this.state(name) === 'parked' ? this.restMs(name) : 0
  }

  /** Milliseconds for which no request passes, because of a failure, a 429 or a pending probe. */
  restMs(name: string): number {
    const until = this.#troubles.get(name)?.until ?? 0
    return Math.max(0, until - this.#now())
  }

  #restMs(failures: number): number {
    const restMs = FIRST_OPEN_MS * 2 ** Math.min(failures - 1, 10)
    return Math.min(restMs * (0.75 + this.#random() / 2), MAX_OPEN_MS)
  }
}
