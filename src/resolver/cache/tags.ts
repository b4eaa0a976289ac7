import { LRUCache } from 'lru-cache'
import type { Resolution } from '../types.ts'

export interface TagCacheOptions {
  readonly size: number
  /** How long the answer for a tag is fresh. */
  readonly tagTtlMs: number
  /** How long it is kept since it was resolved. */
  readonly keptMs: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly onEvict: () => void
}

interface Entry {
  resolution: Resolution
  /** How often it was requested since it was resolved. */
  asked: number
  refreshing: boolean
}

/** A tag that is requested this often in one TTL is refreshed before it expires. */
const HOT = 3
/** The last part of a TTL, in which it is refreshed. */
const REFRESH_PART = 0.2

/** Where references lead: for tags for a while, for digests for ever, as long as there is room. */
export class TagCache {
  readonly #options: TagCacheOptions
  readonly #entries: LRUCache<string, Entry>

  constructor(options: TagCacheOptions) {
    this.#options = options
    this.#entries = new LRUCache<string, Entry>({
      max: options.size,
      dispose: (_entry, _key, reason) => {
        if (reason === 'evict') options.onEvict()
      },
    })
  }

  get size(): number {
    return this.#entries.size
  }

  /** The last answer, as long as it is kept. */
  get(key: string): Resolution | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.resolution.expiresAt === undefined) return entry.resolution
    const now = this.#options.now()
    entry.asked += 1
    if (this.#isKept(entry.resolution, now)) return entry.resolution
    this.#entries.delete(key)
    return undefined
  }

  set(key: string, resolution: Resolution): void {
    this.#entries.set(key, { resolution, asked: 0, refreshing: false })
  }

  /** As ResolutionCache.wantsRefresh. */
  wantsRefresh(key: string, expiresAt: number, now: number): boolean {
    if (now < expiresAt - this.#options.tagTtlMs * REFRESH_PART) return false
    const entry = this.#entries.peek(key)
    if (entry === undefined || entry.refreshing || entry.asked < HOT) return false
    entry.refreshing = true
    return true
  }

  /** @returns whether the tag was known */
  forgetTag(key: string): boolean {
    if (this.#entries.peek(key)?.resolution.expiresAt === undefined) return false
    return this.#entries.delete(key)
  }

  /**
   * Ends the freshness of answers for tags; they stay to be confirmed, and for when no registry answers.
   *
   * @param isMeant by the normalised reference
   * @returns how many were fresh
   */
  expire(isMeant: (reference: string) => boolean): number {
    const now = this.#options.now()
    let count = 0
    for (const entry of this.#entries.values()) {
      const { expiresAt, reference } = entry.resolution
      if (expiresAt === undefined || expiresAt <= now || !isMeant(reference)) continue
      entry.resolution = { ...entry.resolution, expiresAt: now }
      count += 1
    }
    return count
  }

  /** Takes over an answer of another run, with the TTL of this one. A newer answer stays. */
  restore(key: string, restored: Resolution): void {
    const { resolvedAt, expiresAt } = restored
    const latest = resolvedAt + this.#options.tagTtlMs
    const isWithin = expiresAt === undefined || expiresAt <= latest
    const resolution = isWithin ? restored : { ...restored, expiresAt: latest }
    if (this.#entries.has(key) || !this.#isKept(resolution, this.#options.now())) return
    this.set(key, resolution)
  }

  /** The most recently used first. */
  *entries(): Generator<readonly [string, Resolution]> {
    for (const key of [...this.#entries.keys()]) {
      const resolution = this.#entries.peek(key)?.resolution
      if (resolution !== undefined && this.#isKept(resolution, this.#options.now())) {
        yield [key, resolution]
      }
    }
  }

  moveBack(ms: number): void {
    for (const entry of this.#entries.values()) {
      const { resolvedAt, expiresAt } = entry.resolution
      if (expiresAt === undefined) continue
      entry.resolution = {
        ...entry.resolution,
        resolvedAt: resolvedAt - ms,
        expiresAt: expiresAt - ms,
      }
    }
  }

  #isKept({ resolvedAt, expiresAt }: Resolution, now: number): boolean {
    return expiresAt === undefined || now - resolvedAt <= this.#options.keptMs
  }
}
