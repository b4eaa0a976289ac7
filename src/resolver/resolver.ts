// The global of that name is looked up by a getter each time, which takes longer than the clock.
import { performance } from 'node:perf_hooks'
import type { Clock } from '../concurrency/clock.ts'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { formatPlatform, type Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { type ResolutionCache, resolutionKey } from './cache/cache.ts'
import type { FailoverLimits } from './candidate-request.ts'
import { candidatesFor, needsConsent, requireCandidates } from './candidates.ts'
import { divergencesIn, isFailover } from './explain.ts'
import { ResolveRun, type RunResult } from './resolve-run.ts'
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
import { allowsStale, candidatesOf } from './unresolved.ts'

export interface ResolverOptions {
  readonly source: ImageSource
  /** Read anew for each call, so that a new configuration takes effect at once. */
  readonly registries: () => Registries
  readonly health: Health
  readonly cache: ResolutionCache
  readonly clock: Clock
  /** The platform meant when a caller names none. */
  readonly platform: Platform
  /** Read anew for each resolution, as `registries` is. */
  readonly limits: () => FailoverLimits & {
    /** One whole resolution. */
    readonly totalMs: number
  }
  /** Tells callers with different credentials apart without keeping these. */
  readonly fingerprint: (credentials: Credentials | undefined) => string
  /** Default: what stands in the entry itself. */
  readonly keychain?: Keychain
  /** Whether the keychain may hold something for registries that are not configured. Default: yes. */
  readonly keepsForOthers?: () => boolean
  /** Ask by digest once more before a registry counts as one that has it. Default: no. */
  readonly verifyDigest?: () => boolean
  /** Waited for before registries are asked, so that what has to be loaded first costs none its budget. */
  readonly ready?: () => Promise<unknown>
  readonly observer?: ResolutionObserver
}

/** One question of a caller, and what is known of it. */
interface Asked {
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

/** Answers that are refreshed in the background at one time; more are not started, and not missed. */
const MAX_REFRESHES = 16

/** Turns a reference into the image it names now, and where that can be pulled from. */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #flights = new SingleFlight<Resolution>()
  readonly #closing = new AbortController()
  #refreshes = 0

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

  /**
   * What to show at a candidate: the caller's own at the origin, else what the operator keeps for it.
   *
   * @param stranger as in ResolveOptions
   */
  async credentials(candidate: Candidate, stranger = false): Promise<Credentials | undefined> {
    const { configured, credentials, endpoint, entry, repository } = candidate
    if (credentials !== undefined) return credentials
    if (stranger && !configured) return undefined
    const { keychain } = this.#options
    if (keychain === undefined) return entry?.credentials
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
    const { stranger = false, urgent = false } = options
    const key = this.#key(reference, platform, credentials, stranger)
    const isPlatformAsked = options.platform !== undefined
    const cached = cache.resolution(key)
    const known = isPlatformAsked && cached?.platform.assumed ? undefined : cached
    const who = { credentials, stranger, urgent }
    const asked: Asked = { reference, platform, isPlatformAsked, all, key, known, ...who }
    if (known !== undefined && !all && !refresh && cache.isFresh(known)) {
      this.#hit(known, asked, startedMs)
      return { ...known, source: 'cache', attempts: [] }
    }
    try {
      const failure = all || refresh ? undefined : cache.failure(key, isPlatformAsked)
      if (failure !== undefined) {
        cache.counted('negative')
        throw failure
      }
      const how = `${isPlatformAsked ? ' exactly' : ''}${all ? ' all' : ''}`
      const flight = this.#flightFor(`${key}${how}`, urgent)
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
   * @param stranger as in ResolveOptions
   * @returns what gives the answer that is known while that is fresh, at once and counted like any
   * other, and the very same object as long as nothing changes; undefined: it has to be resolved
   */
  prepare(reference: Reference, wanted?: Platform, stranger = false): () => Resolution | undefined {
    const { cache, platform: own, registries } = this.#options
    const platform = wanted ?? own
    let generation: number | undefined
    let asked: Asked = {
      reference,
      platform,
      isPlatformAsked: wanted !== undefined,
      credentials: undefined,
      stranger,
      all: false,
      urgent: false,
      key: '',
      known: undefined,
    }
    let answer: Resolution | undefined
    return () => {
      const startedMs = performance.now()
      const current = registries().generation
      if (current !== generation) {
        generation = current
        const key = this.#key(reference, platform, undefined, stranger)
        asked = { ...asked, key, known: undefined }
      }
      const known = cache.resolution(asked.key)
      if (known === undefined || !cache.isFresh(known)) return undefined
      if (wanted !== undefined && known.platform.assumed) return undefined
      if (answer === undefined || known !== asked.known) {
        asked = { ...asked, known }
        answer = { ...known, source: 'cache', attempts: [] }
      }
      this.#hit(known, asked, startedMs)
      return answer
    }
  }

  /** How long a registry may be silent before the next one is asked in its place, in milliseconds. */
  get probeBudgetMs(): number {
    return this.#options.limits().probeBudgetMs
  }

  /** Ends refreshes in the background. */
  close(): void {
    this.#closing.abort(new ResolveError('CANCELED', 'the service ends'))
  }

  #hit(known: Resolution, asked: Asked, startedMs: number): void {
    const { cache, observer } = this.#options
    cache.counted('hit')
    if (cache.wantsRefresh(asked.key, known)) this.#refresh(asked)
    observer?.resolved('cache', performance.now() - startedMs, false)
  }

  /** Nothing waits for it: its error has no effect. */
  #refresh(asked: Asked): void {
    const { signal } = this.#closing
    if (this.#refreshes >= MAX_REFRESHES || signal.aborted) return
    this.#refreshes += 1
    const done = (): void => {
      this.#refreshes -= 1
    }
    this.#fly(asked.key, signal, asked).then(done, done)
  }

  #key(
    reference: Reference,
    platform: Platform,
    credentials: Credentials | undefined,
    stranger: boolean,
  ): string {
    const { fingerprint, keepsForOthers, registries } = this.#options
    const { generation } = registries()
    const isApart = stranger && (keepsForOthers?.() ?? true)
    const who = isApart ? `${fingerprint(credentials)} stranger` : fingerprint(credentials)
    return resolutionKey(generation, formatReference(reference), formatPlatform(platform), who)
  }

  /** Urgent callers start their own flight; later callers join it. */
  #flightFor(question: string, isUrgent: boolean): string {
    const urgent = `${question} urgent`
    return isUrgent || this.#flights.has(urgent) ? urgent : question
  }

  #fly(flight: string, signal: AbortSignal | undefined, asked: Asked): Promise<Resolution> {
    return this.#flights.run(flight, signal, (ends) => this.#ask(asked, ends))
  }

  /**
   * @returns what the registries say, which the cache remembers; when none answers what was known, marked
   * `stale`
   */
  async #ask(asked: Asked, signal: AbortSignal): Promise<Resolution> {
    const { all, credentials, key, known, platform, reference } = asked
    const { cache, clock, limits, observer, registries } = this.#options
    const candidates = this.candidates(reference, credentials)
    requireCandidates(reference, candidates, registries().mirrorsOnly(reference))
    if (known === undefined) cache.counted('miss')
    const deadline = new AbortController()
    const cancelDeadline = clock.after(limits().totalMs, () => {
      const what = formatReference(reference)
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`))
    })
    try {
      const ends = AbortSignal.any([signal, deadline.signal])
      const { identity, ...found } = await this.#run(asked, candidates, ends)
      // What a caller may have of a registry that needs consent is asked anew, even by digest.
      const isForEver = reference.digest !== undefined && !candidates.some(needsConsent)
      const resolution: Resolution = {
        ...identity,
        ...found,
        reference: formatReference(reference),
        source: 'registry',
        resolvedAt: clock.now(),
        expiresAt: cache.expiry(isForEver),
      }
      for (const divergence of divergencesIn(resolution)) observer?.diverged?.(divergence)
      if (known !== undefined) {
        cache.counted(known.digest === resolution.digest ? 'revalidated' : 'miss')
      }
      cache.remember(key, resolution, identity, platform)
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      cache.rememberFailure(key, error, asked.isPlatformAsked)
      if (known === undefined || all) throw error
      if (!cache.staleAllowed(known) || !allowsStale(error, known)) throw error
      cache.counted('stale')
      return {
        ...known,
        source: 'stale',
        attempts: error.attempts,
        candidates: candidatesOf(error),
      }
    } finally {
      cancelDeadline()
    }
  }

  async #run(
    { all, isPlatformAsked, known, platform, reference, stranger, urgent }: Asked,
    candidates: readonly Candidate[],
    signal: AbortSignal,
  ): Promise<RunResult> {
    const { cache, ready, verifyDigest } = this.#options
    if (ready !== undefined) await ready()
    const question = {
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
    }
    const run = new ResolveRun(question, candidates, {
      ...this.#options,
      limits: this.#options.limits(),
      credentials: (candidate) => this.credentials(candidate, stranger),
      urgent,
      signal,
    })
    return run.run(all)
  }
}
