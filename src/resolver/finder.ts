import type { Clock } from '../concurrency/clock.ts'
import { type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ResolutionCache } from './cache.ts'
import { candidatesFor, needsConsent, resolvesTags } from './candidates.ts'
import { type Findings, Inquiry } from './inquiry.ts'
import { nobodyToAsk } from './nobody.ts'
import { rankReferences } from './ranking.ts'
import type {
  Candidate,
  Health,
  ImageSource,
  Keychain,
  Registries,
  Resolution,
  ResolutionObserver,
} from './types.ts'
import { allowsStale, storyOf } from './unresolved.ts'
import type { WalkLimits } from './walk-options.ts'

export interface FinderOptions {
  readonly source: ImageSource
  /** Read anew for each call, so that a new configuration takes effect at once. */
  readonly registries: () => Registries
  readonly health: Health
  readonly cache: ResolutionCache
  readonly clock: Clock
  /** Read anew for each resolution, as `registries` is. */
  readonly limits: () => WalkLimits & {
    /** One whole resolution. */
    readonly totalMs: number
  }
  /** Default: what stands in the entry itself. */
  readonly keychain?: Keychain
  /** Ask by digest once more before a registry counts as one that has it. Default: no. */
  readonly verifyDigest?: () => boolean
  /** Waited for before a walk, so that what has to be loaded first costs no registry its budget. */
  readonly ready?: () => Promise<unknown>
  readonly observer?: ResolutionObserver
}

/** One question of a caller, and what is known of it. */
export interface Asked {
  readonly reference: Reference
  readonly platform: Platform
  /** The caller named it. */
  readonly isPlatformAsked: boolean
  readonly credentials: Credentials | undefined
  readonly stranger: boolean
  readonly all: boolean
  readonly urgent: boolean
  /** The cache's name for it. */
  readonly key: string
  readonly known: Resolution | undefined
}

/** With these a registry may well have the image; what was known before is then worth giving. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'TOOMANYREQUESTS',
  'DEADLINE_EXCEEDED',
  'UNAVAILABLE',
  'UNKNOWN',
])

const ENTRIES_ONLY: Keychain = {
  credentials: async (_host, _repository, entry) => entry?.credentials,
}

/** Finds an answer by asking the registries, and has the cache remember it. */
export class Finder {
  readonly #options: FinderOptions

  constructor(options: FinderOptions) {
    this.#options = options
  }

  /** As Resolver.candidates. */
  candidates(reference: Reference, credentials?: Credentials): readonly Candidate[] {
    return candidatesFor(reference, this.#options.registries(), credentials)
  }

  /** As Resolver.credentials. */
  async credentials(candidate: Candidate, stranger: boolean): Promise<Credentials | undefined> {
    const { configured, credentials, endpoint, entry, repository } = candidate
    if (credentials !== undefined) return credentials
    if (stranger && !configured) return undefined
    const { keychain = ENTRIES_ONLY } = this.#options
    return keychain.credentials(endpoint.host, repository, entry)
  }

  /**
   * @returns what the registries say; when none answers what was known, marked `stale`
   * @throws ResolveError as Resolver.resolve
   */
  async find(asked: Asked, signal: AbortSignal): Promise<Resolution> {
    const { all, credentials, key, known, platform, reference } = asked
    const { cache, clock, limits } = this.#options
    const { totalMs } = limits()
    const candidates = this.candidates(reference, credentials)
    this.#requireAnybody(reference, candidates)
    if (known === undefined) cache.counted('miss')
    const deadline = new AbortController()
    const cancelDeadline = clock.after(totalMs, () => {
      const what = formatReference(reference)
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`))
    })
    try {
      const ends = AbortSignal.any([signal, deadline.signal])
      const found = await this.#inquire(asked, candidates, ends)
      const resolution = this.#resolution(reference, candidates, found)
      this.#tellDivergence(resolution)
      if (known !== undefined) {
        cache.counted(known.digest === resolution.digest ? 'revalidated' : 'miss')
      }
      cache.remember(key, resolution, found.identity, platform)
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      cache.rememberFailure(key, error, asked.isPlatformAsked)
      if (known === undefined || all) throw error
      if (!PASSING.has(error.code) || !cache.staleAllowed(known)) throw error
      if (!allowsStale(error, (registry) => leadsTo(known, registry))) throw error
      cache.counted('stale')
      return { ...known, source: 'stale', attempts: error.attempts, candidates: storyOf(error) }
    } finally {
      cancelDeadline()
    }
  }

  async #inquire(
    { all, isPlatformAsked, known, platform, reference, stranger, urgent }: Asked,
    candidates: readonly Candidate[],
    signal: AbortSignal,
  ): Promise<Findings> {
    const { cache, ready, verifyDigest } = this.#options
    if (ready !== undefined) await ready()
    const inquiry = new Inquiry(
      {
        reference,
        platform,
        isPlatformAsked,
        ...(!all && {
          known: (digest: string) => {
            const identity = cache.identity(digest, platform)
            return isPlatformAsked && identity?.platform.assumed ? undefined : identity
          },
        }),
        expected: known !== undefined && !all,
        verifyDigest: verifyDigest?.() ?? false,
      },
      candidates,
      {
        ...this.#options,
        limits: this.#options.limits(),
        credentials: (candidate) => this.credentials(candidate, stranger),
        urgent,
        signal,
      },
    )
    return inquiry.run(all)
  }

  #resolution(
    reference: Reference,
    candidates: readonly Candidate[],
    { attempts, candidate, identity, reports, standing }: Findings,
  ): Resolution {
    const { cache, clock } = this.#options
    return {
      ...identity,
      reference: formatReference(reference),
      references: rankReferences(reference, identity.digest, candidates, standing),
      registry: candidate.registry,
      source: 'registry',
      resolvedAt: clock.now(),
      // What a caller may have of a registry that needs consent is asked anew, even by digest.
      expiresAt: cache.expiry(reference.digest !== undefined && !candidates.some(needsConsent)),
      attempts,
      candidates: reports,
    }
  }

  #tellDivergence({ candidates = [], digest, reference, registry }: Resolution): void {
    const { observer } = this.#options
    for (const { digest: told, divergent, registry: other } of candidates) {
      if (divergent !== true || told === undefined) continue
      const chosen = { registry, digest }
      observer?.diverged?.({ reference, chosen, other: { registry: other, digest: told } })
    }
  }

  #requireAnybody(reference: Reference, candidates: readonly Candidate[]): void {
    if (candidates.some((each) => reference.digest !== undefined || resolvesTags(each))) return
    throw nobodyToAsk(reference, candidates, this.#options.registries().mirrorsOnly(reference))
  }
}

function leadsTo({ references, registry }: Resolution, name: string): boolean {
  return name === registry || references.some((each) => each.registry === name)
}
