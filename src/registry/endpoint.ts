/** One place that speaks the OCI distribution protocol. */
export interface Endpoint {
  readonly scheme: 'http' | 'https'
  /** `host` or `host:port`, IPv6 in brackets, lower case. */
  readonly host: string
  /** Path between `/v2/` and the repository (a Harbor project), without slashes at its ends; mostly ''. */
  readonly prefix: string
}
