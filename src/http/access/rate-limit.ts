import { clientKey } from '../limits.ts'

interface Bucket {
  tokens: number
  filledAt: number
}

/** Clients told apart at one time; beyond that the one that asked first begins anew. */
const MAX_CLIENTS = 10_000
const MINUTE_MS = 60_000

/** A bucket for each client: a minute's worth of requests at once, then one as each drips in. */
export class RateLimit {
  readonly #perMinute: number
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** @param perMinute 0: no limit, so that nothing is to be taken */
  constructor(perMinute: number, now: () => number) {
    this.#perMinute = perMinute
    this.#now = now
  }

  get isOn(): boolean {
    return this.#perMinute > 0
  }

  /**
   * Takes one.
   *
   * @param address of the client; undefined: over a unix socket, all clients of which count as one
   * @returns milliseconds to wait before asking again; 0: go on
   */
  take(address: string | undefined): number {
    const now = this.#now()
    const bucket = this.#bucketOf(clientKey(address), now)
    // A clock that is set back must not lock clients out.
    const drips = (Math.max(0, now - bucket.filledAt) * this.#perMinute) / MINUTE_MS
    bucket.tokens = Math.min(this.#perMinute, bucket.tokens + drips)
    bucket.filledAt = now
    if (bucket.tokens < 1) return ((1 - bucket.tokens) * MINUTE_MS) / this.#perMinute
    bucket.tokens -= 1
    return 0
  }

  #bucketOf(client: string, now: number): Bucket {
    const known = this.#buckets.get(client)
    if (known !== undefined) return known
    const [oldest] = this.#buckets.size < MAX_CLIENTS ? [] : this.#buckets.keys()
    if (oldest !== undefined) this.#buckets.delete(oldest)
    const bucket = { tokens: this.#perMinute, filledAt: now }
    this.#buckets.set(client, bucket)
    return bucket
  }
}
