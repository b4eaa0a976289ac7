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

/** One place where a reference may be found. */
export interface Candidate {
  /** Name of the entry, or the reference's domain for its origin. */
  readonly registry: string
  readonly endpoint: Endpoint
  /** Repository below `/v2/` there, prefix included: `proxy-docker/library/nginx`. */
  readonly repository: string
  /** What a runtime pulls, without tag or digest: `harbor.corp/proxy-docker/library/nginx`. */
  readonly pullName: string
  readonly priority: number
  /** The registry that the reference itself names. */
  readonly origin: boolean
  /** Its host is named by the operator. */
  readonly configured: boolean
  /**
   * It is configured, and none of the well-known public registries, which count requests: it may be asked
   * beside another one. Default: no.
   */
  readonly isPrivate?: boolean
  /** Told to a mirror that serves several registries: the one that the image is named after. */
  readonly namespace?: string
  /** The configured registry it is of; absent for an origin that nobody configured. */
  readonly entry?: RegistryEntry
  /** The caller's own, at the origin alone. What the operator keeps for it is the keychain's to say. */
  readonly credentials?: Credentials
}

/** The operator's secrets. Never rejects: what cannot be had is logged once, and goes on anonymously. */
export interface Keychain {
  /**
   * @param host `host[:port]` that will be contacted
   * @param repository below `/v2/` there; some keychains hold secrets for paths
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
   * @param isAsked the caller named that platform: what no index says is looked up, not assumed
   */
  image(request: ImageRequest, platform: Platform, isAsked: boolean): Promise<ImageIdentity>
  /** One HEAD: what the tag points at now. */
  digest(request: ImageRequest): Promise<Descriptor>
}

/** Who may be asked for what. A new configuration brings a new one. */
export interface Registries {
  /** Part of every cache key: answers of an older configuration must not be found by it. */
  readonly generation: number
  /** Configured registries that serve this repository, in the order of asking. */
  serving(repository: Repository): readonly RegistryEntry[]
  /** The registry that the domain itself names. */
  origin(domain: string): Origin
  /** Whether a host is one of the well-known public registries. */
  isPublic(host: string): boolean
  /** The pattern of `mirrorsOnly` that keeps this repository from its origin, if one does. */
  mirrorsOnly(repository: Repository): string | undefined
}

/** Repositories are served, whatever the tag. */
export type Repository = Pick<Reference, 'domain' | 'path'>

export interface Origin {
  readonly endpoint: Endpoint
  /** Set when the operator configured that very registry. */
  readonly entry?: RegistryEntry
  /** The operator named its host, if only for a prefix of it. */
  readonly configured: boolean
}

/**
 * The resolver's view of registry health. A name is a registry's, not an image's; with a repository
 * it is about what is below `/v2/` there.
 */
export interface Health {
  /** May it be asked for that now? A half-open registry admits one caller at a time. */
  admit(registry: string, repository?: string): boolean
  /** Whether it is asked to see if it works, after it had failed. */
  onTrial?(registry: string, repository?: string): boolean
  /** Whether it would not be admitted now; unlike `admit` it takes nobody's place. */
  isResting?(registry: string, repository?: string): boolean
  /** Whether its last failure was that it did not answer. */
  isSilent?(registry: string): boolean
  success(registry: string, details?: { readonly ms?: number; readonly repository?: string }): void
  failure(
    registry: string,
    details?: {
      readonly retryAfterMs?: number
      readonly code?: ErrorCode
      /** One line without secrets. */
      readonly message?: string
      /** What was asked for; absent: it is the registry itself that is at fault. */
      readonly repository?: string
    },
  ): void
  /** How many requests a registry says are left. */
  remaining?(registry: string, rateLimit: RateLimit): void
  /**
   * Milliseconds for which it asked to be left alone (429), 0 when it did not. Unlike a broken one it
   * is not asked even as a last resort.
   */
  parkedMs(registry: string): number
}

export interface RankedReference {
  readonly reference: string
  readonly kind: 'digest' | 'tag'
  readonly registry: string
  readonly priority: number
  /** That registry itself confirmed it, in this resolution or the one that was cached. */
  readonly verified: boolean
}

export interface Resolution extends ImageIdentity {
  /** The normalised reference, tag and digest both kept. */
  readonly reference: string
  readonly references: readonly RankedReference[]
  /** The registry that answered. */
  readonly registry: string
  readonly source: 'registry' | 'cache' | 'stale'
  /** Milliseconds since the epoch. */
  readonly resolvedAt: number
  /** undefined: a digest, which never expires. */
  readonly expiresAt: number | undefined
  /** Of this call; empty when the cache answered. */
  readonly attempts: readonly Attempt[]
  /**
   * What became of every candidate, in order, in the resolution that found it; also when the cache answers.
   * Empty after a restart.
   */
  readonly candidates?: readonly CandidateReport[]
}

/** What HTTP, CRI and the command line answer: a resolution, or what the node alone knows. */
export interface Answer
  extends Omit<Resolution, 'size' | 'digest' | 'manifestDigest' | 'mediaType' | 'source'> {
  /** As the caller wrote it. */
  readonly requested: string
  /** These three are unknown when only the node could answer and lists no digest. */
  readonly digest: string | undefined
  readonly manifestDigest: string | undefined
  readonly mediaType: string | undefined
  readonly source: Resolution['source'] | 'node'
  readonly node?: { readonly present: boolean; readonly imageId?: string }
}

/** What became of one candidate in one resolution, and why. */
export interface CandidateReport {
  readonly registry: string
  /** What was, or would have been, asked for there: `harbor.corp/hub/library/nginx:latest`. */
  readonly reference: string
  readonly priority: number
  readonly origin: boolean
  readonly chosen: boolean
  /** `skipped`: not asked. */
  readonly outcome: AttemptOutcome
  /** One sentence: why it was chosen or passed over. */
  readonly why: string
  /** What it says the reference points at. */
  readonly digest?: string
  /** Its tag points at another digest than the chosen one's; it is never merged. */
  readonly divergent?: boolean
  /** Since the resolution began; absent: not asked. */
  readonly startedMs?: number
  readonly ms?: number
  readonly error?: { readonly code: ErrorCode; readonly message: string }
  readonly exchanges: readonly Exchange[]
}

export interface ResolveOptions {
  /**
   * Default: this machine's, which an answer may assume an image without an index to be for. One that is
   * named is looked up.
   */
  readonly platform?: Platform | undefined
  /** The caller's own, for the origin alone. */
  readonly credentials?: Credentials | undefined
  /** Ask again even though the cache has an answer: one HEAD when nothing changed. */
  readonly refresh?: boolean | undefined
  /** Ask every candidate, also after one answered, and nobody's cache. */
  readonly all?: boolean | undefined
  /**
   * Of somebody who is not known: what the operator keeps is shown to configured registries alone, and
   * what it brought to light elsewhere is not told. Default: no.
   */
  readonly stranger?: boolean | undefined
  /** Where many stand in line at a registry, go first: a pod waits for it. Default: no. */
  readonly urgent?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** Two places name different digests by one tag. */
export interface Divergence {
  /** The normalised reference. */
  readonly reference: string
  /** Of the answer. */
  readonly chosen: { readonly registry: string; readonly digest: string }
  readonly other: { readonly registry: string; readonly digest: string }
}

/** Hears how resolutions end; what it does must cost next to nothing. */
export interface ResolutionObserver {
  /** @param failover another registry answered than the one that would have been asked first */
  resolved(source: Resolution['source'], ms: number, failover: boolean): void
  failed(code: ErrorCode, ms: number): void
  /** Once for each place that differs from the answer, where one resolution asked both. */
  diverged?(divergence: Divergence): void
}
