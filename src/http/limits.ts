const KIB = 1024
const MIB = 1024 * KIB

/**
 * What HTTP clients may take. A client is an IPv4 address or an IPv6 /64; all clients of a unix socket
 * are one. What `/v2/` adds to these, as how many blobs are sent at once, is MIRROR_LIMITS in mirror/context.ts.
 */
export const HTTP_LIMITS = {
  /** Request line and headers together: Node's own bound. */
  maxHeaderBytes: 16 * KIB,
  /** Of a body, where a route says nothing else: it names one image. */
  maxBodyBytes: 16 * KIB,
  /** An idle one takes some 10 KiB. Fewer where the process has few descriptors. */
  maxConnections: 1024,
  /** Of those, so that one client leaves half of them to the others. */
  maxConnectionsPerClient: 512,
  /** Beyond those, answered on health routes alone; the oldest goes for the newest. */
  reservedConnections: 32,
  /**
   * Requests of one connection that wait for the answer before them (RFC 9112, 9.3.2): no browser
   * pipelines at all. One takes some 2 KiB.
   */
  maxPipelined: 32,
  /** Of finished answers that the kernel has not taken yet: four manifests of 4 MiB. */
  maxUnreadBytesPerClient: 16 * MIB,
  /** Of a process that should stay below 200 MiB. */
  maxUnreadBytes: 48 * MIB,
  /** `POST /resolve` at once, body and answer included; one takes some 2 MiB. */
  maxBatches: 16,
  /** Of those. */
  maxBatchesPerClient: 4,
  /**
   * References of all batches that are resolved at once: a registry is asked 16 things at once, so that a
   * pull or a single question always finds room there.
   */
  maxBatchedReferences: 12,
  /** Results of one batch that may wait for one before them, or for the reader. */
  maxResultsAhead: 256,
  /** Reviews of pods at once, from before their bodies are read; of at most 3 MiB each. */
  maxReviews: 16,
  /** Of those: each API server of a cluster is a client. */
  maxReviewsPerClient: 8,
  /** Until the headers are there. */
  headersTimeoutMs: 10_000,
  /** Until the whole request is there. */
  requestTimeoutMs: 15_000,
  /** Of a connection without a request. */
  keepAliveTimeoutMs: 60_000,
  /** For which a client may read nothing of an answer. */
  unreadTimeoutMs: 60_000,
  /** That requests in flight get when the server closes. */
  closeGraceMs: 5_000,
}

export type Limits = Readonly<typeof HTTP_LIMITS>

/** Bytes of a review of a pod: the most that the API server sends of an object (apiserver, MaxRequestBodyBytes). */
export const MAX_REVIEW_BODY_BYTES = 3 * MIB

/** Bytes of a `POST /resolve`: a thousand references of a quarter of a KiB. */
export const MAX_BATCH_BODY_BYTES = 256 * KIB

/** Characters of an image's name or ID in a path; the longest reference has some 800. */
export const MAX_NAME_CHARACTERS = 1024

/** Characters of what a client sent that go into one line of the log. */
export const MAX_LOGGED_CHARACTERS = 200

/**
 * Tells clients apart where each has a share. A client with one IPv6 address has the whole /64 to come
 * from (RFC 6177).
 *
 * @param address of the other end; undefined: a unix socket, all clients of which count as one
 */
export function clientKey(address = 'unix'): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [head = ''] = address.split('::', 1)
  const groups = head.split(':').slice(0, 4)
  return address.includes('::') || groups.length === 4 ? groups.join(':') : address
}
