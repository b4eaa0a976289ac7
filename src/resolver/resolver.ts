// The global of that name is looked up by a getter each time, which takes longer than the clock.
import { performance } from 'node:perf_hooks'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { toResolveError } from '../errors.ts'
import { formatPlatform, type Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { Background } from './background.ts'
import { type Asked, Finder, type FinderOptions } from './finder.ts'
import { resolutionKey } from './key.ts'
import type { Candidate, Resolution, ResolveOptions } from './types.ts'

export interface ResolverOptions extends FinderOptions {
  /** The platform meant when a caller names none. */
  readonly platform: Platform
  /** Tells callers with different credentials apart without keeping these. */
  readonly fingerprint: (credentials: Credentials | undefined) => string
  /** Whether the keychain may hold something for registries that nobody configured. Default: yes. */
  readonly keepsForOthers?: () => boolean
}

/** Turns a reference into the image it names now, and where that can be pulled from. */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #finder: Finder
  readonly #flights = new SingleFlight<Resolution>()
  readonly #background = new Background()

  constructor(options: ResolverOptions) {
    this.#options = options
    this.#finder = new Finder(options)
  }

  /**
   * Every place where the reference may be found, in the order of asking. None at all where
   * `mirrorsOnly` rules out the origin and no registry serves it.
   */
  candidates(reference: Reference, credentials?: Credentials): readonly Candidate[] {
    return this.#finder.candidates(reference, credentials)
  }

  /**
   * What to show at a candidate: the caller's own at the origin, else what the operator keeps for it.
   *
   * @param stranger as in ResolveOptions
   */
  credentials(candidate: Candidate, stranger = false): Promise<Credentials | undefined> {
    return this.#finder.credentials(candidate, stranger)
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
      if (!all && !refresh) this.#believeAbsence(key, isPlatformAsked)
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

  #believeAbsence(key: string, isExact: boolean): void {
    const { cache } = this.#options
    const failure = cache.failure(key, isExact)
    if (failure === undefined) return
    cache.counted('negative')
    throw failure
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

  /** Who is urgent does not join those who stand in line; they join him. */
  #flightFor(question: string, isUrgent: boolean): string {
    const urgent = `${question} urgent`
    return isUrgent || this.#flights.has(urgent) ? urgent : question
  }

  #fly(flight: string, signal: AbortSignal | undefined, asked: Asked): Promise<Resolution> {
    return this.#flights.run(flight, signal, (ends) => this.#finder.find(asked, ends))
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
