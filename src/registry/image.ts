import type { Exchange as ApiExchange } from '../../api/v1/candidate.ts'
import type { Written } from '../../api/v1/schema.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import type { Platform } from '../reference/platform.ts'
import type { Credentials } from './credentials.ts'
import type { Endpoint } from './endpoint.ts'

/** Which registry is asked, with which credentials, and for how long. */
export interface RequestContext {
  readonly endpoint: Endpoint
  /** The operator named this host. Any other host must not lead to a private address. */
  readonly configured: boolean
  readonly credentials?: Credentials | undefined
  readonly signal: AbortSignal
  /** The same object for all requests of one attempt. */
  readonly ticket?: Ticket | undefined
  /**
   * Of an attempt that has to prove that its credentials, or none, are good now: it fetches a new token. Absent: a
   * token of an earlier attempt will do, as long as it is valid.
   */
  readonly proof?: object | undefined
  /** Called at the end of every request that was sent, for tokens and redirects too. */
  readonly observe?: ObserveExchange | undefined
}

/** A manifest or blob of one registry. */
export interface ImageRequest extends RequestContext {
  /** Below `/v2/`, the endpoint's prefix included. */
  readonly repository: string
  /** A tag or a digest. */
  readonly reference: string
  /** The registry that the image is named after, for a mirror that serves several (containerd's `?ns=`). */
  readonly namespace?: string | undefined
}

/** @param rateLimit what the response says of it */
export type ObserveExchange = (exchange: Exchange, rateLimit?: RateLimit) => void

/** One HTTP request to a registry or token service, without secrets. */
export type Exchange = Written<ApiExchange>

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

/** The platform that an index or the image's config names, or the one that is assumed. */
export interface ImagePlatform extends Platform {
  /** Neither names one: this is the platform that was asked for. */
  readonly assumed?: true
}
