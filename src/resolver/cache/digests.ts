import { LRUCache } from 'lru-cache'
import { formatPlatform, type Platform } from '../../reference/platform.ts'
import type { ImageIdentity } from '../../registry/image.ts'

/** Which image a digest is for the platform that was asked for, `os/architecture[/variant]`. */
export interface KnownIdentity {
  readonly asked: string
  readonly identity: ImageIdentity
}

export interface DigestCacheOptions {
  readonly size: number
  readonly onEvict: () => void
}

/** What digests are: facts about content, so for ever, as long as there is room. */
export class DigestCache {
  readonly #known: LRUCache<string, KnownIdentity>

  constructor({ size, onEvict }: DigestCacheOptions) {
    this.#known = new LRUCache<string, KnownIdentity>({
      max: size,
      dispose: (_known, _key, reason) => {
        if (reason === 'evict') onEvict()
      },
    })
  }

  get size(): number {
    return this.#known.size
  }

  get(digest: string, platform: Platform): ImageIdentity | undefined {
    return this.#known.get(keyOf(digest, formatPlatform(platform)))?.identity
  }

  set(known: KnownIdentity): void {
    this.#known.set(keyOf(known.identity.digest, known.asked), known)
  }

  /** The most recently used first. */
  *entries(): Generator<KnownIdentity> {
    for (const key of [...this.#known.keys()]) {
      const known = this.#known.peek(key)
      if (known !== undefined) yield known
    }
  }
}

function keyOf(digest: string, platform: string): string {
  return `${digest} ${platform}`
}
