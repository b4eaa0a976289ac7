import { formatReference, type Reference } from '../../src/reference/reference.ts'
import type { ImageIdentity } from '../../src/registry/image.ts'
import type { ResolutionCache } from '../../src/resolver/cache/cache.ts'
import type { SnapshotContent, SnapshotScope } from '../../src/resolver/cache/snapshot-lines.ts'
import type { Resolution } from '../../src/resolver/types.ts'
import { AMD64, identity, nginx } from './resolver.ts'

/** As the resolver keys callers without credentials, of the first generation unless told. */
export function keyOf(reference: string, who = 'anonymous', generation = 1): string {
  return `${generation} ${reference} linux/amd64 ${who}`
}

/** The answer for a tag, unless it is told to be for ever. */
export function resolutionOf(
  reference: Reference,
  image: ImageIdentity,
  fields: Partial<Resolution> = {},
): Resolution {
  return {
    ...image,
    reference: formatReference(reference),
    references: [
      {
        reference: `hub.corp/library/nginx@${image.digest}`,
        kind: 'digest',
        registry: 'hub.corp',
        priority: 500,
        verified: true,
      },
    ],
    registry: 'hub.corp',
    source: 'cache',
    resolvedAt: 1_000_000,
    expiresAt: 1_060_000,
    attempts: [],
    ...fields,
  }
}

/** Puts a tag's answer of this moment in; returns its key. */
export function learnTag(
  cache: ResolutionCache,
  now: number,
  tag = 'latest',
  who = 'anonymous',
): string {
  const image = identity(tag)
  const reference = nginx({ tag })
  const key = keyOf(formatReference(reference), who)
  const times = { resolvedAt: now, expiresAt: cache.expiry(false) }
  cache.remember(key, resolutionOf(reference, image, times), image, AMD64)
  return key
}

/** Puts an answer for a digest in, which is for ever; returns its key. */
export function learnDigest(cache: ResolutionCache, now: number, seed: string): string {
  const image = identity(seed)
  const reference = nginx({ tag: undefined, digest: image.digest })
  const key = keyOf(formatReference(reference))
  const times = { resolvedAt: now, expiresAt: undefined }
  cache.remember(key, resolutionOf(reference, image, times), image, AMD64)
  return key
}

export function scopeOf(configuration = 'one', generation = 1): SnapshotScope {
  return {
    configuration,
    keyFor: (reference, platform) => `${generation} ${reference} ${platform} anonymous`,
  }
}

/** Answers for so many tags, as a cache gives them and a snapshot keeps them. */
export function contentOf(count: number, mark = 'tag'): SnapshotContent {
  const images = Array.from({ length: count }, (_, index) => {
    const tag = `${mark}-${index}`
    const resolution = resolutionOf(nginx({ tag }), identity(`${index} ${mark}`))
    return { resolution, image: identity(`${index} ${mark}`) }
  })
  return {
    where: images.map(({ resolution }) => [keyOf(resolution.reference), resolution]),
    what: images.map(({ image }) => ({ asked: 'linux/amd64', identity: image })),
  }
}
