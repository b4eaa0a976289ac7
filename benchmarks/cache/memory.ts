import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ImageIdentity } from '../../src/registry/image.ts'
import { ResolutionCache } from '../../src/resolver/cache/cache.ts'
import { resolutionKey } from '../../src/resolver/question.ts'
import { digestOf } from '../../test/support/images.ts'

const TTL_MS = 60_000
const PLATFORM = { os: 'linux', architecture: 'amd64' }

/** Heap that one answer takes, in bytes: its key, its resolution, and what its digest is. */
export function bytesPerEntry(entries: number): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = used()
  const limits = { size: entries, tagTtlMs: TTL_MS, keepMs: TTL_MS }
  const cache = new ResolutionCache(limits, () => 0)
  for (let tag = 0; tag < entries; tag += 1) learn(cache, tag)
  const after = used()
  // Asked only now, so that it was in use until here.
  if (cache.counts().entries.where !== entries) throw new Error('not all were kept')
  return (after - before) / entries
}

/** With the candidates in mind that most have: a mirror, and the origin behind it. */
function learn(cache: ResolutionCache, tag: number): void {
  const path = `team-${tag % 97}/app-${tag % 997}`
  const reference = `docker.io/${path}:1.${tag}`
  const identity: ImageIdentity = {
    digest: digestOf(`index ${tag}`),
    mediaType: 'application/vnd.oci.image.index.v1+json',
    size: tag,
    manifestDigest: digestOf(`manifest ${tag}`),
    imageId: digestOf(`config ${tag}`),
    platform: { ...PLATFORM },
  }
  const references = ['harbor.corp/hub', 'docker.io'].map((registry, index) => ({
    reference: `${registry}/${path}@${identity.digest}`,
    kind: 'digest' as const,
    registry,
    priority: 500,
    verified: index === 0,
  }))
  const resolution = {
    ...identity,
    reference,
    references,
    registry: 'harbor.corp/hub',
    source: 'registry' as const,
    resolvedAt: 0,
    expiresAt: TTL_MS,
    attempts: [],
  }
  const key = resolutionKey(1, reference, 'linux/amd64', 'anonymous')
  cache.remember(key, resolution, identity, PLATFORM)
}
