import { BoundedMap } from './bounded-map.ts'

export interface BreakerOptions {
  /** Milliseconds, of any clock that does not run backwards. */
  readonly now: () => number
  /** 0 to 1; spreads the probes of many nodes. Default Math.random. */
  readonly random?: () => number
}

/**
 * `closed`: asked as usual. `open`: it failed, and rests. `parked`: it asked to be left alone (429).
 * `half-open`: that is over, and one probe is let through.
 */
export type BreakerState = 'closed' | 'open' | 'half-open' | 'parked'

interface Trouble {
  /** In a row. */
  readonly failures: number
  /** Not asked before this. */
  until: number
  /** It asked to be left alone (429), which is no sign of illness. */
  readonly parked: boolean
  probing: boolean
}

const FIRST_REST_MS = 1_000
const MAX_REST_MS = 60_000
const MAX_PARKED_MS = 3_600_000
/** A probe that never reports, because its caller left, holds its place for this long. */
const PROBE_LEASE_MS = 10_000
const MAX_REGISTRIES = 1_000

/**
 * Remembers which registries are in trouble, so that a dead one costs its time-out once. Opens on
 * the first failure; after a rest of 1 s, doubling to 60 s (jitter of a quarter), it admits one
 * probe, whose success closes it. Answers such as 401, 403 and 404 are successes: they show a
 * registry that works.
 */
export class Breaker {
  readonly #now: () => number
  readonly #random: () => number
  readonly #troubles = new BoundedMap<Trouble>(MAX_REGISTRIES)

  constructor(options: BreakerOptions) {
    this.#now = options.now
    this.#random = options.random ?? Math.random
  }

  /** Whether it may be asked now. After its rest the first to ask is the probe. */
  admit(name: string): boolean {
    const trouble = this.#troubles.get(name)
    if (trouble === undefined) return true
    // Looked at now, so the last to be forgotten: references name hosts without end.
    this.#troubles.set(name, trouble)
    if (this.#now() < trouble.until) return false
    trouble.probing = true
    trouble.until = this.#now() + PROBE_LEASE_MS
    return true
  }

  /** Whether a probe is under way, after a failure; a pause that was asked for is none. */
  onTrial(name: string): boolean {
    const trouble = this.#troubles.get(name)
    return trouble?.probing === true && !trouble.parked
  }

  /** Closes it; a registry that asked to be left alone still is, whatever was under way then. */
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
    // Of many that were under way when it broke, the first one counts.
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

  /** Since the last success; 0 for one that asked to be left alone. */
  failures(name: string): number {
    return this.#troubles.get(name)?.failures ?? 0
  }

  /** Milliseconds for which it asked to be left alone (429); 0 when it did not, or they are over. */
  parkedMs(name: string): number {
    return this.state(name) === 'parked' ? this.restMs(name) : 0
  }

  /** Milliseconds for which it is not asked, for whatever reason, a probe under way included. */
  restMs(name: string): number {
    const until = this.#troubles.get(name)?.until ?? 0
    return Math.max(0, until - this.#now())
  }

  #restMs(failures: number): number {
    const restMs = FIRST_REST_MS * 2 ** Math.min(failures - 1, 10)
    return Math.min(restMs * (0.75 + this.#random() / 2), MAX_REST_MS)
  }
}
