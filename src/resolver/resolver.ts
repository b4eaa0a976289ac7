import { type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import { formatPlatform, type Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { Background } from './background.ts'
import type { ResolutionCache } from './cache.ts'
import { candidatesFor, needsConsent, resolvesTags } from './candidates.ts'
import type { Clock } from './clock.ts'
import { Flights } from './flights.ts'
import { Inquiry } from './inquiry.ts'
import { resolutionKey } from './key.ts'
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
  ResolveOptions,
} from './types.ts'
import { UnresolvedError } from './unresolved.ts'
import type { WalkLimits } from './walk.ts'

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
  /** Default: what stands in the entry itself. */
  readonly keychain?: Keychain
  /** Ask by digest once more before a registry counts as one that has it. Default: no. */
  readonly verifyDigest?: () => boolean
  /** Waited for before a walk, so that what has to be loaded first costs no registry its budget. */
  readonly ready?: () => Promise<unknown>
  readonly observer?: ResolutionObserver
}

/** One question of a caller, and what is known of it. */
interface Asked {
  readonly reference: Reference
  readonly platform: Platform
  readonly credentials: Credentials | undefined
  readonly all: boolean
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

/** Turns a reference into the image it names now, and where that can be pulled from. */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #flights = new Flights<Resolution>()
  readonly #background = new Background()

  constructor(options: ResolverOptions) {
    this.#options = options
  }

  /**
   * Every place where the reference may be found, in the order of asking. None at all where
   * `mirrorsOnly` rules out the origin and no registry serves it.
   */
  candidates(reference: Reference, credentials?: Credentials): readonly Candidate[] {
    return candidatesFor(reference, this.#options.registries(), credentials)
  }

  /** What to show at a candidate: the caller's own at the origin, else what the operator keeps for it. */
  async credentials(candidate: Candidate): Promise<Credentials | undefined> {
    const { credentials, endpoint, entry, repository } = candidate
    if (credentials !== undefined) return credentials
    const { keychain = ENTRIES_ONLY } = this.#options
    return keychain.credentials(endpoint.host, repository, entry)
  }

  /**
   * @param reference a tag or a digest; with a digest the tag binds nobody
   * @returns from the cache while fresh, else from the best registry that has it; `stale` when
   * every registry is out of reach and an older answer is known
   * @throws ResolveError with the attempts: MANIFEST_UNKNOWN, PLATFORM_UNKNOWN, UNAUTHORIZED,
   * DENIED (also when the configuration lets nobody be asked), TOOMANYREQUESTS, UNSUPPORTED,
   * DIGEST_INVALID, MANIFEST_INVALID, UNAVAILABLE, DEADLINE_EXCEEDED, CANCELED; an UnresolvedError
   * where registries were asked by this very call
   */
  async resolve(reference: Reference, options: ResolveOptions = {}): Promise<Resolution> {
    const { cache, observer, platform: own } = this.#options
    const startedMs = performance.now()
    const { all = false, credentials, platform = own, refresh = false } = options
    const key = this.#key(reference, platform, credentials)
    const known = cache.resolution(key)
    const asked: Asked = { reference, platform, credentials, all, key, known }
    if (known !== undefined && !all && isUsable(known, refresh) && cache.isFresh(known)) {
      this.#hit(known, asked, startedMs)
      return { ...known, source: 'cache', attempts: [] }
    }
    try {
      if (!all && !refresh) this.#believeAbsence(key)
      const flight = all ? `${key} all` : key
      if (this.#flights.has(flight)) cache.counted('coalesced')
      const resolution = await this.#fly(flight, options.signal, asked)
      const failover = isFailover(resolution)
      observer?.resolved(resolution.source, performance.now() - startedMs, failover)
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      observer?.failed(error.code, performance.now() - startedMs)
      throw error
    }
  }

  /**
   * Reads a question once that will be asked again and again, by callers without credentials.
   *
   * @returns what gives the answer that is known while that is fresh, at once and counted like any
   * other, and the very same object as long as nothing changes; undefined: it has to be resolved
   */
  prepare(reference: Reference, platform = this.#options.platform): () => Resolution | undefined {
    const { cache, registries } = this.#options
    let generation: number | undefined
    let asked: Asked = {
      reference,
      platform,
      credentials: undefined,
      all: false,
      key: '',
      known: undefined,
    }
    let answer: Resolution | undefined
    return () => {
      const startedMs = performance.now()
      const current = registries().generation
      if (current !== generation) {
        generation = current
        asked = { ...asked, key: this.#key(reference, platform, undefined), known: undefined }
      }
      const known = cache.resolution(asked.key)
      if (known === undefined || !cache.isFresh(known)) return undefined
      if (answer === undefined || known !== asked.known) {
        asked = { ...asked, known }
        answer = { ...known, source: 'cache', attempts: [] }
      }
      this.#hit(known, asked, startedMs)
      return answer
    }
  }

  /** Ends what goes on without anybody waiting for it. */
  close(): void {
    this.#background.close()
  }

  #hit(known: Resolution, asked: Asked, startedMs: number): void {
    const { cache, observer } = this.#options
    cache.counted('hit')
    if (cache.wantsRefresh(asked.key, known)) {
      this.#background.start((signal) => this.#fly(asked.key, signal, asked))
    }
    observer?.resolved('cache', performance.now() - startedMs, false)
  }

  #believeAbsence(key: string): void {
    const { cache } = this.#options
    const failure = cache.failure(key)
    if (failure === undefined) return
    cache.counted('negative')
    throw failure
  }

  #key(reference: Reference, platform: Platform, credentials: Credentials | undefined): string {
    const { generation } = this.#options.registries()
    const who = this.#options.fingerprint(credentials)
    return resolutionKey(generation, formatReference(reference), formatPlatform(platform), who)
  }

  #fly(flight: string, signal: AbortSignal | undefined, asked: Asked): Promise<Resolution> {
    return this.#flights.join(flight, signal, (ends) => this.#ask(asked, ends))
  }

  async #ask(asked: Asked, signal: AbortSignal): Promise<Resolution> {
    const { all, credentials, key, known, platform, reference } = asked
    const { cache, clock, limits, ready } = this.#options
    const what = formatReference(reference)
    const candidates = this.candidates(reference, credentials)
    this.#requireAnybody(reference, candidates)
    if (known === undefined) cache.counted('miss')
    const deadline = new AbortController()
    const cancelDeadline = clock.after(limits.totalMs, () =>
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`)),
    )
    try {
      if (ready !== undefined) await ready()
      const inquiry = new Inquiry(
        {
          reference,
          platform,
          ...(!all && { known: (digest: string) => cache.identity(digest, platform) }),
          expected: known !== undefined && !all,
          verifyDigest: this.#options.verifyDigest?.() ?? false,
        },
        candidates,
        {
          ...this.#options,
          credentials: (candidate) => this.credentials(candidate),
          signal: AbortSignal.any([signal, deadline.signal]),
        },
      )
      const found = await inquiry.run(all)
      const resolution: Resolution = {
        ...found.identity,
        reference: what,
        references: rankReferences(reference, found.identity.digest, candidates, found.standing),
        registry: found.candidate.registry,
        source: 'registry',
        resolvedAt: clock.now(),
        // What a caller may have of a registry that needs consent is asked anew, even by digest.
        expiresAt: cache.expiry(reference.digest !== undefined && !candidates.some(needsConsent)),
        attempts: found.attempts,
        candidates: found.reports,
      }
      if (known !== undefined) {
        cache.counted(known.digest === resolution.digest ? 'revalidated' : 'miss')
      }
      cache.remember(key, resolution, found.identity, platform)
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      cache.rememberFailure(key, error)
      if (known === undefined || all) throw error
      if (!PASSING.has(error.code) || !cache.staleAllowed(known)) throw error
      cache.counted('stale')
      const candidates = error instanceof UnresolvedError ? error.candidates : []
      return { ...known, source: 'stale', attempts: error.attempts, candidates }
    } finally {
      cancelDeadline()
    }
  }

  #requireAnybody(reference: Reference, candidates: readonly Candidate[]): void {
    if (candidates.some((each) => reference.digest !== undefined || resolvesTags(each))) return
    throw nobodyToAsk(reference, candidates, this.#options.registries().mirrorsOnly(reference))
  }
}

function isFailover({ candidates, registry, source }: Resolution): boolean {
  return (
    source === 'registry' &&
    candidates?.[0] !== undefined &&
    !candidates[0].chosen &&
    candidates[0].registry !== registry
  )
}

/** What a digest is does not change, so that nobody need ask for it anew; whoever wants to. */
function isUsable(known: Resolution, refresh: boolean): boolean {
  return !refresh || known.expiresAt === undefined
}
