// Looking up the global `performance` runs a getter each time, which takes longer than the clock.
import { performance } from 'node:perf_hooks'
import { ownSignal } from '../concurrency/abortable.ts'
import type { Clock } from '../concurrency/clock.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { type Span, traced, tracing } from '../telemetry/tracing.ts'
import type { ResolutionCache } from './cache/cache.ts'
import type { FailoverLimits } from './candidate-request.ts'
import { candidatesFor, requireCandidates } from './candidates.ts'
import { type ChangedTag, changedBy } from './changed-tags.ts'
import { divergencesIn, isFailover } from './explain.ts'
import { type Question, type QuestionOptions, questionOf } from './question.ts'
import { ResolveRun } from './resolve-run.ts'
import { RunningResolutions } from './running-resolutions.ts'
import { expiryOf, type SharedCache, SharedLookup, termsOf } from './shared-cache.ts'
import { answerAttributes, questionAttributes } from './spans.ts'
import type {
  Candidate,
  Health,
  ImageSource,
  Keychain,
  Resolution,
  ResolutionObserver,
  ResolveOptions,
} from './types.ts'
import { allowsStale, candidatesOf } from './unresolved-error.ts'

export interface ResolverOptions extends QuestionOptions {
  readonly source: ImageSource
  readonly health: Health
  readonly cache: ResolutionCache
  readonly clock: Clock
  /** Called for each resolution, as `registries` is. */
  readonly limits: () => FailoverLimits & {
    /** Of one whole resolution. */
    readonly totalMs: number
  }
  /** Default: the credentials of the entry itself. */
  readonly keychain?: Keychain
  /** Confirm by digest that a registry has what its tag points at. Default: no. */
  readonly verifyDigest?: () => boolean
  /** Awaited before registries are asked, so that loading modules costs none its budget. */
  readonly ready?: () => Promise<unknown>
  readonly observer?: ResolutionObserver
  /** What the nodes of a fleet share. Called for each resolution; undefined: nothing. */
  readonly shared?: () => SharedCache | undefined
}

/** Refreshes in the background at a time; further ones are not started. */
const MAX_REFRESHES = 16

/** Turns a reference into the image that it names now, and the places where that can be pulled from. */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #running = new RunningResolutions()
  readonly #closing = new AbortController()
  #refreshes = 0

  constructor(options: ResolverOptions) {
    this.#options = options
  }

  /**
   * Every place where the reference may be found, in the order of asking. None where `mirrorsOnly` rules out
   * the origin and no registry serves it.
   */
  candidates(reference: Reference, credentials?: Credentials): readonly Candidate[] {
    return candidatesFor(reference, this.#options.registries(), credentials)
  }

  /**
   * The credentials for a candidate: the caller's own at the origin, else the operator's.
   *
   * @param unauthenticated as in ResolveOptions
   */
  async credentials(
    candidate: Candidate,
    unauthenticated = false,
  ): Promise<Credentials | undefined> {
    const { configured, credentials, endpoint, entry, repository } = candidate
    if (credentials !== undefined) return credentials
    if (unauthenticated && !configured) return undefined
    const { keychain } = this.#options
    if (keychain === undefined) return entry?.credentials
    return keychain.credentials(endpoint.host, repository, entry)
  }

  /**
   * @param reference a tag or a digest; beside a digest the tag counts for nothing
   * @returns from the cache while fresh, else from the best registry that has it; `stale` when every registry
   * is out of reach and an older answer is known
   * @throws ResolveError with the attempts: MANIFEST_UNKNOWN, PLATFORM_UNKNOWN, UNAUTHORIZED, DENIED (also
   * when the configuration allows no registry to be asked), TOOMANYREQUESTS, UNSUPPORTED, NOT_AN_IMAGE,
   * DIGEST_INVALID, MANIFEST_INVALID, UNAVAILABLE, DEADLINE_EXCEEDED, CANCELED; an UnresolvedError where this
   * call asked registries
   */
  async resolve(reference: Reference, options: ResolveOptions = {}): Promise<Resolution> {
    const { cache } = this.#options
    const startedMs = performance.now()
    const question = questionOf(reference, options, this.#options)
    const known = this.#known(question)
    const mayBeCached = !question.all && options.refresh !== true
    if (known !== undefined && mayBeCached && cache.isFresh(known, options.maxAgeMs)) {
      this.#hit(question, known, startedMs)
      return { ...known, source: 'cache', attempts: [] }
    }
    return traced('resolve', { attributes: questionAttributes(question) }, (span) =>
      this.#answer(question, known, mayBeCached, options.signal, span, startedMs),
    )
  }

  async #answer(
    question: Question,
    known: Resolution | undefined,
    mayBeCached: boolean,
    signal: AbortSignal | undefined,
    span: Span | undefined,
    startedMs: number,
  ): Promise<Resolution> {
    const { cache, observer } = this.#options
    const { all, isPlatformAsked, key, maxAgeMs, urgent } = question
    try {
      const failure = mayBeCached && cache.failure(key, isPlatformAsked, maxAgeMs)
      if (failure) {
        cache.counted('negative')
        throw failure
      }
      const how = `${isPlatformAsked ? ' exactly' : ''}${all ? ' all' : ''}`
      const terms = termsOf(question, this.#options.shared?.())
      const shared = this.#running.keyFor(`${key}${how}${terms}`, urgent)
      if (this.#running.has(shared)) cache.counted('coalesced')
      const caller = { reference: question.reference, signal, span }
      const resolution = await this.#running.share(shared, caller, (ends, run) =>
        this.#ask(question, known, ends, run),
      )
      span?.setAttributes(answerAttributes(resolution))
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
   * Prepares a question that will be asked many times, by callers without credentials.
   *
   * @param unauthenticated as in ResolveOptions
   * @returns a function that gives the cached answer while it is fresh, counted like any other, and the same
   * object as long as nothing changes; undefined: it has to be resolved
   */
  prepare(
    reference: Reference,
    platform?: Platform,
    unauthenticated = false,
  ): () => Resolution | undefined {
    const { cache, registries } = this.#options
    let generation: number | undefined
    let question = questionOf(reference, { platform, unauthenticated }, this.#options)
    let last: Resolution | undefined
    let answer: Resolution | undefined
    return () => {
      const startedMs = performance.now()
      const current = registries().generation
      if (current !== generation) {
        generation = current
        question = questionOf(reference, { platform, unauthenticated }, this.#options)
      }
      const known = this.#known(question)
      if (known === undefined || !cache.isFresh(known)) return undefined
      if (answer === undefined || known !== last) {
        last = known
        answer = { ...known, source: 'cache', attempts: [] }
      }
      this.#hit(question, known, startedMs)
      return answer
    }
  }

  /**
   * Takes what this node knows of tags for expired, since their registry says that they changed: the next caller has a
   * registry asked. What a resolution under way brings goes to its callers alone.
   *
   * @returns how many answers and absences were believed until now
   */
  expire(changes: readonly ChangedTag[]): number {
    const isChanged = changedBy(changes, this.#options.registries())
    this.#running.expire(isChanged)
    return this.#options.cache.expire(isChanged)
  }

  /** How long a registry may be silent before the next one is asked in its place, in milliseconds. */
  get probeBudgetMs(): number {
    return this.#options.limits().probeBudgetMs
  }

  /** Ends refreshes in the background. */
  close(): void {
    this.#closing.abort(new ResolveError('CANCELED', 'the service ends'))
  }

  #known({ isPlatformAsked, key }: Question): Resolution | undefined {
    const cached = this.#options.cache.resolution(key)
    return isPlatformAsked && cached?.platform.assumed ? undefined : cached
  }

  #hit(question: Question, known: Resolution, startedMs: number): void {
    const { cache, observer } = this.#options
    cache.counted('hit')
    if (cache.wantsRefresh(question.key, known)) this.#refresh(question, known)
    observer?.resolved('cache', performance.now() - startedMs, false)
    if (tracing === undefined) return
    const result = answerAttributes({ ...known, source: 'cache' })
    tracing.start('resolve', { attributes: { ...questionAttributes(question), ...result } }).end()
  }

  /** In the background: its error has no effect. */
  #refresh(question: Question, known: Resolution): void {
    const { signal } = this.#closing
    if (this.#refreshes >= MAX_REFRESHES || signal.aborted) return
    this.#refreshes += 1
    const done = (): void => {
      this.#refreshes -= 1
    }
    const refresh: Question = { ...question, sharing: question.sharing && 'fresh' }
    const key = `${question.key}${termsOf(refresh, this.#options.shared?.())}`
    // The caller has its answer: this is a trace of its own.
    const start = { attributes: questionAttributes(question), parent: tracing?.incoming({}) }
    traced('refresh', start, (span) => {
      const caller = { reference: question.reference, signal, span }
      return this.#running.share(key, caller, (ends, run) => this.#ask(refresh, known, ends, run))
    }).then(done, done)
  }

  /** @returns what another node or the registries say, which is cached; else what was known, marked `stale` */
  async #ask(
    question: Question,
    cached: Resolution | undefined,
    signal: AbortSignal,
    run: { readonly isOutdated: boolean },
  ): Promise<Resolution> {
    const { all, credentials, isPlatformAsked, key, platform, reference } = question
    const { cache, clock, limits, observer, ready, verifyDigest } = this.#options
    const candidates = this.candidates(reference, credentials)
    requireCandidates(reference, candidates, this.#options.registries().mirrorsOnly(reference))
    const shared = await this.#lookup(question, candidates, signal)
    if (shared?.taken !== undefined) {
      if (!run.isOutdated) cache.remember(key, shared.taken, shared.taken, platform)
      return { ...shared.taken, source: 'shared', ageMs: shared.ageMs }
    }
    const known = cached ?? shared?.older
    if (known === undefined) cache.counted('miss')
    const ends = ownSignal(signal)
    const cancelDeadline = clock.after(limits().totalMs, () => {
      const what = formatReference(reference)
      ends.end(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`))
    })
    try {
      await ready?.()
      const registries = new ResolveRun(question, candidates, {
        ...this.#options,
        limits: limits(),
        expected: known !== undefined && !all,
        verifyDigest: verifyDigest?.() ?? false,
        credentials: (candidate) => this.credentials(candidate, question.unauthenticated),
        ...(shared !== undefined && { sharedIdentity: shared.identity }),
        signal: ends.signal,
      })
      const { identity, ...found } = await registries.run()
      const resolution: Resolution = {
        ...identity,
        ...found,
        reference: formatReference(reference),
        source: 'registry',
        resolvedAt: clock.now(),
        expiresAt: expiryOf(question, candidates, cache),
      }
      shared?.tell(resolution)
      for (const divergence of divergencesIn(resolution)) observer?.diverged?.(divergence)
      if (known !== undefined) {
        cache.counted(known.digest === resolution.digest ? 'revalidated' : 'miss')
      }
      if (!run.isOutdated) cache.remember(key, resolution, identity, platform)
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      shared?.tell(error)
      if (!run.isOutdated) cache.rememberFailure(key, error, isPlatformAsked)
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
      ends.release()
    }
  }

  /** @returns undefined: this is not shared with other nodes */
  async #lookup(
    question: Question,
    candidates: readonly Candidate[],
    signal: AbortSignal,
  ): Promise<SharedLookup | undefined> {
    const { cache, clock, health, limits } = this.#options
    const shared = question.sharing && this.#options.shared?.()
    if (shared === undefined || (question.direct && shared.asksServices)) return undefined
    const own = (candidate: Candidate) => this.credentials(candidate, question.unauthenticated)
    const credentials = await Promise.all(candidates.map(own))
    const terms = { credentials, cache, clock, health, shared, waitMs: limits().probeBudgetMs }
    return SharedLookup.begin(question, candidates, { ...terms, signal })
  }
}
