import { LRUCache } from 'lru-cache'
import { type Attempt, ResolveError } from '../errors.ts'
import type { Candidate, Resolution } from '../resolver/types.ts'
import { isConnectionLost, isRuntimeError } from '../runtime/call.ts'

/** Registries that let the resolver down a moment ago; pulling from them would only take longer. */
const UNFIT: ReadonlySet<Attempt['outcome']> = new Set([
  'unreachable',
  'server_error',
  'timeout',
  'rate_limited',
  'skipped',
])

/** About the time that it takes to repair a mirror. */
const REST_MS = 5 * 60_000
const LIMIT = 1_024
/** That one image cannot be had may be the image's fault; of two in a row it is the registry's. */
const SICK = 2

/** The runtime's connection is lost: no registry has failed, and the caller's next try begins anew. */
export class RuntimeLeft extends ResolveError {
  constructor(image: string, options: { readonly cause: unknown }) {
    const { cause } = options
    const why = isRuntimeError(cause) && isConnectionLost(cause) ? ` (${cause.details})` : ''
    const message = `${image}: the connection to the runtime broke off during the pull${why}`
    super('UNAVAILABLE', message, options)
  }
}

interface Streak {
  /** What failed since something succeeded, as far as that matters. */
  readonly digests: ReadonlySet<string>
  readonly at: number
}

/**
 * Where pulls failed of late. A registry may answer every question and then give no layer, which only
 * the runtime notices, perhaps after its caller has given up: the next call must not be sent there first.
 */
export class PullFailures {
  readonly #now: () => number
  readonly #failures = new LRUCache<string, number>({ max: LIMIT })
  readonly #streaks = new LRUCache<string, Streak>({ max: LIMIT })

  /** @param now milliseconds of a monotonic clock */
  constructor(now: () => number) {
    this.#now = now
  }

  failed(registry: string, digest: string): void {
    const at = this.#now()
    this.#failures.set(`${registry} ${digest}`, at)
    const digests = [...(this.#streaks.get(registry)?.digests ?? []), digest].slice(-SICK)
    this.#streaks.set(registry, { digests: new Set(digests), at })
  }

  succeeded(registry: string, digest: string): void {
    this.#failures.delete(`${registry} ${digest}`)
    this.#streaks.delete(registry)
  }

  /** Registries without recent failures first, otherwise in the given order. */
  inOrder<P extends { readonly registry: string }>(
    places: readonly P[],
    digest: string,
  ): readonly P[] {
    const isLast = ({ registry }: P): boolean => this.#isLast(registry, digest)
    return [...places.filter((place) => !isLast(place)), ...places.filter(isLast)]
  }

  #isLast(registry: string, digest: string): boolean {
    const streak = this.#streaks.get(registry)
    const isSick = streak !== undefined && streak.digests.size >= SICK && this.#isRecent(streak.at)
    return isSick || this.#isRecent(this.#failures.get(`${registry} ${digest}`))
  }

  #isRecent(at: number | undefined): boolean {
    return at !== undefined && this.#now() - at < REST_MS
  }
}

/** Where the digest can be pulled from, in the order of the ranking. */
export function fit(
  candidates: readonly Candidate[],
  resolution: Resolution,
): readonly Candidate[] {
  const unfit = new Set(
    resolution.attempts.filter(({ outcome }) => UNFIT.has(outcome)).map(({ registry }) => registry),
  )
  return resolution.references
    .filter(({ kind, registry }) => kind === 'digest' && !unfit.has(registry))
    .flatMap(({ registry }) => candidates.filter((candidate) => candidate.registry === registry))
}
