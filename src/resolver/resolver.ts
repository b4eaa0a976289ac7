import { type AttemptOutcome, type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import { formatPlatform, type Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImageIdentity } from '../registry/image.ts'
import type { ResolutionCache } from './cache.ts'
import { candidatesFor } from './candidates.ts'
import type { Clock } from './clock.ts'
import { Flights } from './flights.ts'
import { rankReferences, type Standing } from './ranking.ts'
import type {
  Candidate,
  Health,
  ImageSource,
  Registries,
  Resolution,
  ResolveOptions,
} from './types.ts'
import { type Found, type WalkLimits, walk } from './walk.ts'

export interface ResolverOptions {
  readonly source: ImageSource
  /** Read anew for each call, so that a new configuration takes effect at once. */
  readonly registries: () => Registries
  readonly health: Health
  readonly cache: ResolutionCache
  readonly clock: Clock
  /** The platform meant when a caller names none. */
  readonly platform: Platform
  readonly limits: WalkLimits & {
    /** One whole resolution. */
    readonly totalMs: number
  }
  /** Tells callers with different credentials apart without keeping these. */
  readonly fingerprint: (credentials: Credentials | undefined) => string
}

/** With these a registry may well have the image; what was known before is then worth giving. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'TOOMANYREQUESTS',
  'DEADLINE_EXCEEDED',
  'UNAVAILABLE',
  'UNKNOWN',
])

/** Of these registries nothing is known; they may be able to serve the digest later. */
const UNDECIDED: ReadonlySet<AttemptOutcome> = new Set([
  'canceled',
  'skipped',
  'timeout',
  'unreachable',
])

/** How resolutions ended since the start. */
export interface ResolverCounts {
  readonly cache: number
  readonly registry: number
  readonly stale: number
  readonly failed: number
}

/** Turns a reference into the image it names now, and where that can be pulled from. */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #flights = new Flights<Resolution>()
  readonly #counts = { cache: 0, registry: 0, stale: 0, failed: 0 }

  constructor(options: ResolverOptions) {
    this.#options = options
  }

  /** Of callers: those that shared one walk count each. */
  counts(): ResolverCounts {
    return { ...this.#counts }
  }

  /** Every place where the reference may be found, in the order of asking. */
  candidates(reference: Reference, credentials?: Credentials): readonly Candidate[] {
    return candidatesFor(reference, this.#options.registries(), credentials)
  }

  /**
   * @param reference a tag or a digest; with a digest the tag binds nobody
   * @returns from the cache while fresh, else from the best registry that has it; `stale` when
   * every registry is out of reach and an older answer is known
   * @throws ResolveError with the attempts: MANIFEST_UNKNOWN, PLATFORM_UNKNOWN, UNAUTHORIZED,
   * DENIED, TOOMANYREQUESTS, UNSUPPORTED, DIGEST_INVALID, MANIFEST_INVALID, UNAVAILABLE,
   * DEADLINE_EXCEEDED, CANCELED
   */
  async resolve(reference: Reference, options: ResolveOptions = {}): Promise<Resolution> {
    const platform = options.platform ?? this.#options.platform
    const key = this.#key(reference, platform, options.credentials)
    const known = this.#options.cache.resolution(key)
    const immutable = known !== undefined && known.expiresAt === undefined
    if (
      known !== undefined &&
      (immutable || !options.refresh) &&
      this.#options.cache.isFresh(known)
    ) {
      this.#counts.cache += 1
      return { ...known, source: 'cache', attempts: [] }
    }
    try {
      const resolution = await this.#flights.join(key, options.signal, (signal) =>
        this.#ask(reference, platform, options.credentials, key, known, signal),
      )
      this.#counts[resolution.source] += 1
      return resolution
    } catch (thrown) {
      this.#counts.failed += 1
      throw toResolveError(thrown)
    }
  }

  #key(reference: Reference, platform: Platform, credentials: Credentials | undefined): string {
    const { generation } = this.#options.registries()
    const who = this.#options.fingerprint(credentials)
    return `${generation} ${formatReference(reference)} ${formatPlatform(platform)} ${who}`
  }

  async #ask(
    reference: Reference,
    platform: Platform,
    credentials: Credentials | undefined,
    key: string,
    known: Resolution | undefined,
    signal: AbortSignal,
  ): Promise<Resolution> {
    const { cache, clock, health, limits } = this.#options
    const what = formatReference(reference)
    const candidates = this.candidates(reference, credentials)
    const deadline = new AbortController()
    const cancelDeadline = clock.after(limits.totalMs, () =>
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`)),
    )
    const ask = (candidate: Candidate, asked: AbortSignal): Promise<ImageIdentity> =>
      this.#identify(candidate, reference, platform, known, asked)
    try {
      const ends = AbortSignal.any([signal, deadline.signal])
      const found = await walk(candidates, ask, { what, limits, health, clock, signal: ends })
      const resolution: Resolution = {
        ...found.value,
        reference: what,
        references: rankReferences(reference, found.value.digest, candidates, (candidate) =>
          standing(candidate, found),
        ),
        registry: found.candidate.registry,
        source: 'registry',
        resolvedAt: clock.now(),
        expiresAt: cache.expiry(reference.digest !== undefined),
        attempts: found.attempts,
      }
      cache.remember(key, resolution, found.value, platform)
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      if (known === undefined || !PASSING.has(error.code)) throw error
      return { ...known, source: 'stale', attempts: error.attempts }
    } finally {
      cancelDeadline()
    }
  }

  /** One GET when nothing is known; one HEAD when what the registry names is already known. */
  async #identify(
    candidate: Candidate,
    reference: Reference,
    platform: Platform,
    known: Resolution | undefined,
    signal: AbortSignal,
  ): Promise<ImageIdentity> {
    const { cache, source } = this.#options
    const { endpoint, repository, configured, credentials } = candidate
    const request = {
      endpoint,
      repository,
      reference: reference.digest ?? reference.tag ?? 'latest',
      configured,
      ...(credentials === undefined ? {} : { credentials }),
      signal,
    }
    const mayBeKnown =
      known !== undefined ||
      (reference.digest !== undefined && cache.identity(reference.digest, platform) !== undefined)
    if (!mayBeKnown) return source.image(request, platform)
    const now = await source.digest(request)
    return (
      cache.identity(now.digest, platform) ??
      source.image({ ...request, reference: now.digest }, platform)
    )
  }
}

/** A tag that leads elsewhere at another registry is as good as absent there: never merged. */
function standing(candidate: Candidate, found: Found<ImageIdentity>): Standing {
  const answer = found.answers.get(candidate)
  if (answer !== undefined) return answer.digest === found.value.digest ? 'verified' : 'refuted'
  const attempt = found.attempts.find(({ registry }) => registry === candidate.registry)
  return attempt === undefined || UNDECIDED.has(attempt.outcome) ? 'assumed' : 'refuted'
}
