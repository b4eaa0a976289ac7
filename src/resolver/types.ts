import type { Attempt, AttemptOutcome, ErrorCode } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import type { Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Endpoint } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type {
  Descriptor,
  Exchange,
  ImageIdentity,
  ImageRequest,
  RateLimit,
} from '../registry/image.ts'

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
export interface ImageSource {
  /**
   * Everything about an image, with as few GETs as the protocol allows.
   *
   * @param isAsked the caller named the platform: it is looked up where no index names it, and not assumed
   */
  image(request: ImageRequest, platform: Platform, isAsked: boolean): Promise<ImageIdentity>
  /** One HEAD: what the tag points at now. */
  digest(request: ImageRequest): Promise<Descriptor>
}

/** Which registries may be asked for what, by one configuration. */
export interface Registries {
  /** Part of every cache key: answers of an older configuration are not found. */
  readonly generation: number
  /** Configured registries that serve this repository, in the order of asking. */
  serving(repository: Repository): readonly RegistryEntry[]
  /** The registry that the domain names. */
  origin(domain: string): Origin
  /** Whether a host is one of the well-known public registries. */
  isPublic(host: string): boolean
  /** The pattern of `mirrorsOnly` that keeps this repository from its origin, if one does. */
  mirrorsOnly(repository: Repository): string | undefined
}

export type Repository = Pick<Reference, 'domain' | 'path'>

export interface Origin {
  readonly endpoint: Endpoint
  /** Set where the operator configured that registry. */
  readonly entry?: RegistryEntry
  /** The operator named its host, maybe for a prefix only. */
  readonly configured: boolean
}

/** The resolver's view of registry health: of a registry by name, and of a repository below `/v2/` there. */
export interface Health {
  /** Whether a request may pass now. A half-open breaker admits one at a time. */
  admit(registry: string, repository?: string): boolean
  /** Whether the admitted request is a probe after a failure. */
  onTrial?(registry: string, repository?: string): boolean
  /** Whether it failed, and no probe has been admitted; unlike `admit` it changes nothing. */
  isResting?(registry: string, repository?: string): boolean
  /** Whether its last failure was a time-out. */
  isSilent?(registry: string): boolean
  success(registry: string, details?: { readonly ms?: number; readonly repository?: string }): void
  failure(
    registry: string,
    details?: {
      readonly retryAfterMs?: number
      readonly code?: ErrorCode
      /** One line without secrets. */
      readonly message?: string
      /** Absent: the registry itself is at fault. */
      readonly repository?: string
    },
  ): void
  /** What a registry says of its rate limit. */
  remaining?(registry: string, rateLimit: RateLimit): void
  /**
   * Milliseconds left of the wait that it asked for (429), 0 without one. It is not asked even as a last
   * resort.
   */
  parkedMs(registry: string): number
}

export interface RankedReference {
  readonly reference: string
  readonly kind: 'digest' | 'tag'
  readonly registry: string
  readonly priority: number
  /** That registry confirmed it, in this resolution or the one that was cached. */
  readonly verified: boolean
}

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

/** What HTTP, CRI and the command line answer: a resolution, or what only the node knows. */
export interface Answer
  extends Omit<Resolution, 'size' | 'digest' | 'manifestDigest' | 'mediaType' | 'source'> {
  /** As the caller wrote it. */
  readonly requested: string
  /** These three are unknown where only the node could answer and lists no digest. */
  readonly digest: string | undefined
  readonly manifestDigest: string | undefined
  readonly mediaType: string | undefined
  readonly source: Resolution['source'] | 'node'
  readonly node?: { readonly present: boolean; readonly imageId?: string }
}

/** What became of one candidate in one resolution, and why. */
export interface CandidateReport {
  readonly registry: string
  /** What is asked for there: `harbor.corp/hub/library/nginx:latest`. */
  readonly reference: string
  readonly priority: number
  readonly origin: boolean
  readonly chosen: boolean
  /** `skipped`: not asked. */
  readonly outcome: AttemptOutcome
  /** One sentence: why it was chosen or passed over. */
  readonly why: string
  /** What the reference points at, as this registry says. */
  readonly digest?: string
  /** Its tag points at another digest than that of the answer; never merged. */
  readonly divergent?: boolean
  /** Since the resolution began; absent: not asked. */
  readonly startedMs?: number
  readonly ms?: number
  readonly error?: { readonly code: ErrorCode; readonly message: string }
  readonly exchanges: readonly Exchange[]
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
