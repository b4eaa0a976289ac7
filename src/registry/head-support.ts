import { BoundedMap } from './bounded-map.ts'
import { type Endpoint, endpointKey } from './endpoint.ts'

const KEEP_MS = 3_600_000
const MAX_REGISTRIES = 1_000

/**
 * Statuses that some registries answer to HEAD for manifests that they give by GET: Nexus 404
 * (crazy-max/diun#1614), registry.centos.org 403 (containerd#6684), storage behind URLs that are
 * signed for GET alone 403, gateways the others.
 */
const DOUBTFUL: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 406, 500, 501])

/**
 * Whether what a HEAD was refused with needs a GET before it counts. That the GET is refused as well
 * shows nothing for the next time: the image, or the right to it, may be there by then, and a proxy may
 * refuse the HEAD of what it has not fetched yet.
 *
 * @param status of the answer to the HEAD
 */
export function isDoubtful(status: number): boolean {
  return DOUBTFUL.has(status)
}

/** Which registries refuse HEAD for manifests that they give by GET. Kept for an hour. */
export class HeadSupport {
  readonly #now: () => number
  /** When a GET worked where the HEAD had not. */
  readonly #refusedAt = new BoundedMap<number>(MAX_REGISTRIES)

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Whether asking by HEAD is worth it. */
  has(endpoint: Endpoint): boolean {
    const refusedAt = this.#refusedAt.get(endpointKey(endpoint))
    if (refusedAt === undefined) return true
    const ageMs = this.#now() - refusedAt
    // A clock that was set back makes ages negative.
    return ageMs < 0 || ageMs >= KEEP_MS
  }

  /** A GET worked where the HEAD had not. */
  refused(endpoint: Endpoint): void {
    this.#refusedAt.set(endpointKey(endpoint), this.#now())
  }
}
