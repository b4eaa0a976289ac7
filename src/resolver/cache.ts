import { LRUCache } from 'lru-cache'
import { formatPlatform, type Platform } from '../reference/platform.ts'
import type { ImageIdentity } from '../registry/image.ts'
import type { Resolution } from './types.ts'

export interface CacheLimits {
  /** Entries of each kind; 0 turns the cache off. */
  readonly size: number
  /** How long a tag's answer is given without asking again. */
  readonly tagTtlMs: number
  /** How long it is kept beyond that, to be revalidated, or given when all registries are down. */
  readonly keepMs: number
}

/**
 * Two memories: where a reference leads (per caller's credentials, and a tag's only for a while)
 * and what a digest is (a fact about content, so for ever, as long as there is room).
 */
export class ResolutionCache {
  readonly #where: LRUCache<string, Resolution> | undefined
  readonly #what: LRUCache<string, ImageIdentity> | undefined
  readonly #limits: CacheLimits
  readonly #now: () => number

  constructor(limits: CacheLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
    if (limits.size === 0) return
    this.#where = new LRUCache({ max: limits.size })
    this.#what = new LRUCache({ max: limits.size })
  }

  /** The last answer, however old within `keepMs`; `isFresh` tells whether it may be given as it is. */
  resolution(key: string): Resolution | undefined {
    const found = this.#where?.get(key)
    if (found?.expiresAt === undefined) return found
    if (this.#now() - found.resolvedAt <= this.#limits.keepMs) return found
    this.#where?.delete(key)
    return undefined
  }

  isFresh(resolution: Resolution): boolean {
    return resolution.expiresAt === undefined || this.#now() < resolution.expiresAt
  }

  /** When an answer of this moment stops being fresh; undefined: never. */
  expiry(isDigest: boolean): number | undefined {
    return isDigest ? undefined : this.#now() + this.#limits.tagTtlMs
  }

  identity(digest: string, platform: Platform): ImageIdentity | undefined {
    return this.#what?.get(identityKey(digest, platform))
  }

  remember(key: string, resolution: Resolution, identity: ImageIdentity, platform: Platform): void {
    this.#where?.set(key, resolution)
    this.#what?.set(identityKey(identity.digest, platform), identity)
  }
}

function identityKey(digest: string, platform: Platform): string {
  return `${digest} ${formatPlatform(platform)}`
}
