import { credentialsFingerprint } from './auth-config.ts'
import { BoundedMap } from './bounded-map.ts'
import { endpointKey } from './endpoint.ts'
import type { ImageRequest } from './image.ts'

interface Known {
  readonly since: number
  /** A GET worked where the HEAD did not. */
  refusesHead: boolean
  /** Refusals that a GET confirmed: what was refused to which credentials with which status. */
  readonly confirmed: Set<string>
}

const KEEP_MS = 3_600_000
/** So many refusals an hour cost one more request; if all were true, the others are believed. */
const MAX_CONFIRMED = 8
const MAX_REGISTRIES = 1_000

/**
 * Statuses that some registries answer to HEAD for manifests that they give by GET: Nexus 404
 * (crazy-max/diun#1614), registry.centos.org 403 (containerd#6684), storage behind URLs that are
 * signed for GET alone 403, gateways the others.
 */
const DOUBTFUL: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 406, 500, 501])

/**
 * Which registries answer HEAD for manifests as they answer GET. A refusal of a HEAD counts once
 * a GET was refused too; what that showed holds for an hour.
 */
export class HeadSupport {
  readonly #now: () => number
  readonly #known = new BoundedMap<Known>(MAX_REGISTRIES)

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Whether asking by HEAD is worth it. */
  has({ endpoint }: ImageRequest): boolean {
    return this.#of(endpointKey(endpoint))?.refusesHead !== true
  }

  /** Whether what a HEAD was refused with needs a GET before it counts. */
  doubts(request: ImageRequest, status: number): boolean {
    if (!DOUBTFUL.has(status)) return false
    const { confirmed } = this.#of(endpointKey(request.endpoint)) ?? {}
    if (confirmed === undefined) return true
    return confirmed.size < MAX_CONFIRMED && !confirmed.has(refusalOf(request, status))
  }

  /** A GET worked. */
  contradicted({ endpoint }: ImageRequest): void {
    this.#open(endpointKey(endpoint)).refusesHead = true
  }

  /** A GET was refused as well. */
  confirmed(request: ImageRequest, status: number): void {
    this.#open(endpointKey(request.endpoint)).confirmed.add(refusalOf(request, status))
  }

  #of(registry: string): Known | undefined {
    const known = this.#known.get(registry)
    const ageMs = this.#now() - (known?.since ?? 0)
    // A clock that was set back makes ages negative.
    return ageMs >= 0 && ageMs < KEEP_MS ? known : undefined
  }

  #open(registry: string): Known {
    const known = this.#of(registry) ?? {
      since: this.#now(),
      refusesHead: false,
      confirmed: new Set(),
    }
    this.#known.set(registry, known)
    return known
  }
}

function refusalOf({ repository, credentials }: ImageRequest, status: number): string {
  return `${status} ${repository} ${credentialsFingerprint(credentials)}`
}
