import type { Platform } from '../reference/platform.ts'
import type { Credentials } from './credentials.ts'
import type { Endpoint } from './endpoint.ts'

/** What one registry is asked. */
export interface ImageRequest {
  readonly endpoint: Endpoint
  /** Below `/v2/`, the endpoint's prefix included. */
  readonly repository: string
  /** A tag or a digest. */
  readonly reference: string
  /** Named by the operator; a host that is not must not lead to a private address. */
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
