import type { Platform } from '../../src/reference/platform.ts'
import type { ImageIdentity } from '../../src/registry/image.ts'
import { type CacheLimits, ResolutionCache } from '../../src/resolver/cache/cache.ts'
import { resolutionKey } from '../../src/resolver/question.ts'
import type { Resolution } from '../../src/resolver/types.ts'
import type { Strategy } from './strategy.ts'

const PLATFORM: Platform = { os: 'linux', architecture: 'amd64' }
const KEPT_MS = 86_400_000
const NOTHING: readonly never[] = []
const IMAGE: Omit<ImageIdentity, 'digest' | 'size'> = {
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifestDigest: '',
  imageId: '',
  platform: PLATFORM,
}

export interface OursOptions {
  readonly size: number
  readonly ttlMs: number
  readonly versionAt: (tag: number, nowMs: number) => number
  /** Whether the cache outlives a restart, as it does when its file can be written. Default true. */
  readonly saved?: boolean
}

/** The cache of the service, by a clock of its own, used as the resolver uses it. */
export function ours({ saved = true, size, ttlMs, versionAt }: OursOptions): Strategy {
  let now = 0
  let extraHeads = 0
  const limits: CacheLimits = { size, tagTtlMs: ttlMs, keepMs: KEPT_MS }
  const open = (): ResolutionCache => new ResolutionCache(limits, () => now)
  let cache = open()
  function learn(key: string, tag: number): number {
    const version = versionAt(tag, now)
    const identity = identityOf(tag, version)
    cache.remember(key, resolutionOf(identity, now, now + ttlMs), identity, PLATFORM)
    return version
  }
  return {
    ask(_question, tag, at) {
      now = at
      const key = keyOf(tag)
      const known = cache.resolution(key)
      if (known !== undefined && cache.isFresh(known)) {
        if (cache.wantsRefresh(key, known)) {
          extraHeads += 1
          learn(key, tag)
        }
        return { outcome: 'answered', version: known.size }
      }
      const version = learn(key, tag)
      return { outcome: known?.size === version ? 'HEAD' : 'GET', version }
    },
    restart() {
      const content = cache.content()
      const kept = { where: [...content.where], what: [...content.what] }
      cache = open()
      if (saved) cache.restore(kept)
    },
    get extraHeads() {
      return extraHeads
    },
  }
}

function keyOf(tag: number): string {
  return resolutionKey(1, `docker.io/team/app:${tag}`, 'linux/amd64', 'anonymous')
}

/** The version is told by the size, which nothing here looks at. */
function identityOf(tag: number, version: number): ImageIdentity {
  return { ...IMAGE, digest: `${tag} ${version}`, size: version }
}

/** As small as can be: what a real one takes is measured by itself. */
function resolutionOf(identity: ImageIdentity, resolvedAt: number, expiresAt: number): Resolution {
  return {
    ...identity,
    reference: '',
    references: NOTHING,
    registry: '',
    source: 'registry',
    resolvedAt,
    expiresAt,
    attempts: NOTHING,
  }
}
