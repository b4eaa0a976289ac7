import type { Candidate as ApiCandidate } from '../../api/v1/candidate.ts'
import type { RankedReference as ApiRankedReference } from '../../api/v1/resolve.ts'
import type { Written } from '../../api/v1/schema.ts'
import type { Attempt, ErrorCode } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import type { Reference } from '../reference/reference.ts'
import type { RegistryClient } from '../registry/client.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Endpoint } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { RegistryHealth } from '../registry/health.ts'
import type { ImageIdentity } from '../registry/image.ts'
import type { ConfiguredRegistries } from '../registry/registries.ts'

/** A place where a reference may be found. */
export interface Candidate {
  /** Name of the entry, or the reference's domain for its origin. */
  readonly registry: string
  readonly endpoint: Endpoint
  /** Repository below `/v2/` there, prefix included: `proxy-docker/library/nginx`. */
  readonly repository: string
  /** What a runtime pulls, without tag or digest: `harbor.corp/proxy-docker/library/nginx`. */
  readonly pullName: string
  readonly priority: number
  /** It is the registry that the reference names. */
  readonly origin: boolean
  /** The operator named its host. */
  readonly configured: boolean
  /**
   * It is configured, and none of the well-known public registries, which count requests: it may be used to
   * hedge. Default: no.
   */
  readonly isPrivate?: boolean
  /** The registry that the image is named after, for a mirror that serves several. */
  readonly namespace?: string
  /** Absent for an origin that is not configured. */
  readonly entry?: RegistryEntry
  /** The caller's own, at the origin alone. Those of the operator are in the keychain. */
  readonly credentials?: Credentials
}

/** The operator's credentials. Never rejects: a failure is logged once, and means none. */
export interface Keychain {
  /**
   * @param host `host[:port]` that will be contacted
   * @param repository below `/v2/` there; some credentials are for paths
   */
  credentials(
    host: string,
    repository: string,
    entry: RegistryEntry | undefined,
  ): Promise<Credentials | undefined>
}

/** The resolver's view of the registries. Both throw ResolveError, with `step` and `status`. */
export type ImageSource = Pick<RegistryClient, 'image' | 'digest'>

/** Which registries may be asked for what, by one configuration. */
export type Registries = Pick<
  ConfiguredRegistries,
  'generation' | 'serving' | 'origin' | 'isPublic' | 'mirrorsOnly'
>

export type Repository = Pick<Reference, 'domain' | 'path'>

/** The registry that a domain names. */
export type Origin = ReturnType<Registries['origin']>

/** The resolver's view of registry health. */
export type Health = Omit<RegistryHealth, 'report'>

export type RankedReference = Written<ApiRankedReference>

/** Which image a reference is, and where it can be pulled from. */
export interface Resolution extends ImageIdentity {
  /** The normalised reference, tag and digest both kept. */
  readonly reference: string
  readonly references: readonly RankedReference[]
  /** The registry that answered. */
  readonly registry: string
  readonly source: 'registry' | 'cache' | 'shared' | 'stale'
  /** With `shared`: milliseconds since a registry was asked, by the clock of the store. */
  readonly ageMs?: number
  /** Milliseconds since the epoch. */
  readonly resolvedAt: number
  /** undefined: never, as of a digest. */
  readonly expiresAt: number | undefined
  /** Of this call; empty for an answer of the cache. */
  readonly attempts: readonly Attempt[]
  /**
   * What became of every candidate, in order, in the resolution that found the image, also for an answer of
   * the cache. Empty after a restart.
   */
  readonly candidates?: readonly CandidateReport[]
}

/** What HTTP, CRI and the command line answer. */
export interface Answer extends AnyAnswer {
  /** As the caller wrote it. */
  readonly requested: string
}

/** A resolution, or what only the node knows. */
export interface AnyAnswer
  extends Omit<Resolution, 'size' | 'digest' | 'manifestDigest' | 'mediaType' | 'source'> {
  /** These three are unknown where only the node could answer and lists no digest. */
  readonly digest: string | undefined
  readonly manifestDigest: string | undefined
  readonly mediaType: string | undefined
  readonly source: Resolution['source'] | 'node'
  readonly node?: { readonly present: boolean; readonly imageId?: string }
}

/** What became of one candidate in one resolution, and why. */
export interface CandidateReport extends Omit<Written<ApiCandidate>, 'error'> {
  readonly error?: { readonly code: ErrorCode; readonly message: string }
}

export interface ResolveOptions {
  /**
   * Default: this machine's, which is assumed for an image without an index. A platform that is named is
   * looked up.
   */
  readonly platform?: Platform | undefined
  /** The caller's own, for the origin alone. */
  readonly credentials?: Credentials | undefined
  /** Ask registries although the cache has an answer: one HEAD when nothing changed. */
  readonly refresh?: boolean | undefined
  /** With `refresh`: unless another node asked within the freshness of the store that the fleet shares. */
  readonly shared?: boolean | undefined
  /** How old an answer or an absence may be, in milliseconds. Default: as old as the cache lets it be. */
  readonly maxAgeMs?: number | undefined
  /** Another service asks, which has its own way to further ones: they are not asked. Default: no. */
  readonly direct?: boolean | undefined
  /** Ask every candidate, also after one answered, and no cache. */
  readonly all?: boolean | undefined
  /**
   * The caller may be any process of this machine: it showed neither the token of the HTTP API nor access to a
   * unix socket. The operator's credentials are then for configured registries alone, and answers that
   * needed them elsewhere are not given. Not to be confused with an anonymous request to a registry, which
   * has no credentials at all. Default: no.
   */
  readonly unauthenticated?: boolean | undefined
  /** Admitted first at a busy registry: a pod waits for it. Default: no. */
  readonly urgent?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** Two registries name different digests by one tag. */
export interface Divergence {
  /** The normalised reference. */
  readonly reference: string
  /** Of the answer. */
  readonly chosen: { readonly registry: string; readonly digest: string }
  readonly other: { readonly registry: string; readonly digest: string }
}

/** Told how resolutions end. It is on the path of every cached answer, and has to be cheap. */
export interface ResolutionObserver {
  /** @param failover another registry answered than the first in order */
  resolved(source: Resolution['source'], ms: number, failover: boolean): void
  failed(code: ErrorCode, ms: number): void
  /** Once for each registry that differs from the answer, where one resolution asked both. */
  diverged?(divergence: Divergence): void
}

/**
 * `hit`: fresh from memory. `miss`: a registry was asked, and nothing was known. `revalidated`: a registry confirmed
 * an old answer. `stale`: an old answer was given, since no registry answered. `negative`: a cached absence.
 * `coalesced`: the resolution of another caller was shared.
 */
export type CacheEvent = 'hit' | 'miss' | 'coalesced' | 'stale' | 'negative' | 'revalidated'

/** Since the start; `entries` are those of now. */
export interface CacheCounts extends Readonly<Record<CacheEvent, number>> {
  /** Removed to make room. */
  readonly evicted: number
  readonly entries: { readonly where: number; readonly what: number; readonly negative: number }
}

/** Which image a digest is for a platform, `os/architecture[/variant]`. */
export interface KnownIdentity {
  readonly asked: string
  readonly identity: ImageIdentity
}

/** What a snapshot keeps of a cache, the most recently used first. */
export interface CacheContent {
  readonly where: Iterable<readonly [key: string, resolution: Resolution]>
  readonly what: Iterable<KnownIdentity>
}
