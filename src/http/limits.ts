/** What one client may take. */
export interface Limits {
  /** Request line and headers together. */
  readonly maxHeaderBytes: number
  /** Where a route says nothing else: what is sent names one image. */
  readonly maxBodyBytes: number
  readonly maxConnections: number
  /** Until the headers are there. */
  readonly headersTimeoutMs: number
  /** Until the whole request is there. */
  readonly requestTimeoutMs: number
  /** Of a connection without a request. */
  readonly keepAliveTimeoutMs: number
  /** What was sent to a client may lie there, none of it taken, for so long. */
  readonly unreadTimeoutMs: number
  /** What requests in flight get when the door closes. */
  readonly closeGraceMs: number
}

export const defaultLimits: Limits = {
  maxHeaderBytes: 16 * 1024,
  maxBodyBytes: 16 * 1024,
  maxConnections: 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  keepAliveTimeoutMs: 60_000,
  unreadTimeoutMs: 60_000,
  closeGraceMs: 5_000,
}
