import type { Ticket } from '../concurrency/semaphore.ts'
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
  /** The registry that the image is named after, for a mirror that serves several (containerd's `?ns=`). */
  readonly namespace?: string
  readonly credentials?: Credentials
  readonly signal: AbortSignal
  /** The same object for all requests of one attempt. */
  readonly ticket?: Ticket
  /** Hears of every request that was sent, tokens and redirects included, when it ended. */
  readonly observe?: (exchange: Exchange) => void
}

/** One HTTP request of a conversation with a registry, as it may be shown to anybody: no secrets. */
export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'POST'
  /** Without user, password, query and fragment. */
  readonly url: string
  /** Absent: no answer came. */
  readonly status?: number
  readonly ms: number
  /** What the answer said of the requests that are left (Docker Hub: `ratelimit-remaining`). */
  readonly rateLimit?: RateLimit
  /** The text of a `Warning: 299` header, one line of at most 200 characters. */
  readonly warning?: string
}

export interface RateLimit {
  readonly remaining: number
  readonly limit?: number
  readonly windowSeconds?: number
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
  readonly platform: ImagePlatform
}

/** What an index or the image's own config says that it is for; or what is hoped. */
export interface ImagePlatform extends Platform {
  /** Neither says so: it is the platform that was meant. */
  readonly assumed?: true
}
