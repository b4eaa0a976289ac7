import type { Attempt } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Endpoint } from '../registry/endpoint.ts'

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
  /** Named by the operator; a host that is not must not lead to a private address. */
  readonly configured: boolean
  readonly credentials?: Credentials
}

/** What one registry is asked. */
export interface ImageRequest {
  readonly endpoint: Endpoint
  readonly repository: string
  /** A tag or a digest. */
  readonly reference: string
  readonly configured: boolean
  readonly credentials?: Credentials
  readonly signal: AbortSignal
}

/** What a tag or digest points at: an index or a manifest. */
export interface Descriptor {
  readonly digest: string
  readonly mediaType: string
  /** Bytes. */
  readonly size: number
}

/** Which image that is for one platform. */
export interface ImageIdentity extends Descriptor {
  /** Digest of the platform's manifest; equal to `digest` where there is no index. */
  readonly manifestDigest: string
  /** Digest of the image's config. */
  readonly imageId: string
  /** The platform chosen from the index; where there is none, the one that was asked for. */
  readonly platform: Platform
}

/** The resolver's view of the registries. Both throw ResolveError, with `step` and `status`. */
export interface ImageSource {
  /** Everything about an image, with as few GETs as the protocol allows. */
  image(request: ImageRequest, platform: Platform): Promise<ImageIdentity>
  /** One HEAD: what the tag points at now. */
  digest(request: ImageRequest): Promise<Descriptor>
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
}

export interface ResolveOptions {
  /** Default: this machine's. */
  readonly platform?: Platform
  /** The caller's own, for the origin alone. */
  readonly credentials?: Credentials
  /** Ask again even though the cache has an answer: one HEAD when nothing changed. */
  readonly refresh?: boolean
  readonly signal?: AbortSignal
}
