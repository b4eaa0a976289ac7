const KIB = 1024
const MIB = 1024 * KIB

/**
 * What HTTP clients may take. A client is an IPv4 address or an IPv6 /64; all clients of a unix socket
 * are one. What `/v2/` adds to these, as how many blobs are sent at once, is MirrorLimits in mirror/context.ts.
 */
export interface Limits {
  /** Bytes. Request line and headers together. Default 16 KiB, Node's own. */
  readonly maxHeaderBytes: number
  /** Bytes of a body, where a route says nothing else: it names one image. Default 16 KiB. */
  readonly maxBodyBytes: number
  /** Default 1024: an idle one takes some 10 KiB. Fewer where the process has few descriptors. */
  readonly maxConnections: number
  /** Of those. Default 512, so that one client leaves half of them to the others. */
  readonly maxConnectionsPerClient: number
  /** Beyond those, answered on health routes alone; the oldest goes for the newest. Default 32. */
  readonly reservedConnections: number
  /**
   * Requests of one connection that wait for the answer before them (RFC 9112, 9.3.2). Default 32: no
   * browser pipelines at all. One takes some 2 KiB.
   */
  readonly maxPipelined: number
  /** Bytes of whole answers that the system has not taken yet. Default 16 MiB: four manifests. */
  readonly maxUnreadBytesPerClient: number
  /** Default 48 MiB, of a process that should stay below 200. */
  readonly maxUnreadBytes: number
  /** `POST /resolve` at once, body and answer included. Default 16; one takes some 2 MiB. */
  readonly maxBatches: number
  /** Of those. Default 4. */
  readonly maxBatchesPerClient: number
  /**
   * References of all batches that are resolved at once. Default 12: a registry is asked 16 things at
   * once, so that a pull or a single question always finds room there.
   */
  readonly maxBatchedReferences: number
  /** Results of one batch that may wait for one before them, or for the reader. Default 256. */
  readonly maxResultsAhead: number
  /** Reviews of pods at once, from before their bodies are read. Default 16, of at most 3 MiB each. */
  readonly maxReviews: number
  /** Of those. Default 8: each API server of a cluster is a client. */
  readonly maxReviewsPerClient: number
  /** Milliseconds until the headers are there. Default 10 s. */
  readonly headersTimeoutMs: number
  /** Milliseconds until the whole request is there. Default 15 s. */
  readonly requestTimeoutMs: number
  /** Milliseconds of a connection without a request. Default 60 s. */
  readonly keepAliveTimeoutMs: number
  /** Milliseconds for which what was sent may lie there, none of it taken. Default 60 s. */
  readonly unreadTimeoutMs: number
  /** Milliseconds that requests in flight get when the server closes. Default 5 s. */
  readonly closeGraceMs: number
}

export const defaultLimits: Limits = {
  maxHeaderBytes: 16 * KIB,
  maxBodyBytes: 16 * KIB,
  maxConnections: 1024,
  maxConnectionsPerClient: 512,
  reservedConnections: 32,
  maxPipelined: 32,
  maxUnreadBytesPerClient: 16 * MIB,
  maxUnreadBytes: 48 * MIB,
  maxBatches: 16,
  maxBatchesPerClient: 4,
  maxBatchedReferences: 12,
  maxResultsAhead: 256,
  maxReviews: 16,
  maxReviewsPerClient: 8,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  keepAliveTimeoutMs: 60_000,
  unreadTimeoutMs: 60_000,
  closeGraceMs: 5_000,
}

/** Bytes of a review of a pod: the most that the API server sends of an object (apiserver, MaxRequestBodyBytes). */
export const MAX_REVIEW_BODY_BYTES = 3 * MIB

/** Bytes of a `POST /resolve`: a thousand references of a quarter of a KiB. */
export const MAX_BATCH_BODY_BYTES = 256 * KIB

/** Characters of an image's name or ID in a path; the longest reference has some 800. */
export const MAX_NAME_CHARACTERS = 1024

/** Characters of what a client sent that go into one line of the log. */
export const MAX_LOGGED_CHARACTERS = 200
