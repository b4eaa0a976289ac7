/**
 * `[domain/]path[:tag][@digest]`, parsed with the distribution grammar and normalised:
 * `nginx` is docker.io, library/nginx.
 */
export interface Reference {
  readonly domain: string
  readonly path: string
  readonly tag: string | undefined
  /** `algorithm:hex`. */
  readonly digest: string | undefined
}
