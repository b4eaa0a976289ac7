// Looking up the global `performance` runs a getter each time, which takes longer than the clock.
import { performance } from 'node:perf_hooks'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import type { Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { type Span, traced, tracing } from '../telemetry/tracing.ts'
import { candidatesFor, credentialsFor } from './candidates.ts'
import { type ChangedTag, changedBy } from './changed-tags.ts'
import { isFailover } from './explain.ts'
import {
  type Question,
  type QuestionOptions,
  questionOf,
  referenceOf,
  termsOf,
} from './question.ts'
import { ResolveRun, type RunOptions } from './resolve-run.ts'
import { answerAttributes, markCoalesced, questionAttributes } from './spans.ts'
import type { Candidate, Resolution, ResolveOptions } from './types.ts'

export interface ResolverOptions extends QuestionOptions, RunOptions {}

/** Refreshes in the background at a time; further ones are not started. */
const MAX_REFRESHES = 16

/** Turns a reference into the image that it names now, and the places where that can be pulled from. */
export class Resolver {
  readonly #options: ResolverOptions
  /** Resolutions under way. Callers that ask the same share one. */
  readonly #running = new SingleFlight<Resolution>()
  /** Of the first caller of each of them, where they are traced. */
  readonly #spans = new Map<string, Span>()
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

  /** As credentialsFor. */
  credentials(candidate: Candidate, unauthenticated = false): Promise<Credentials | undefined> {
    return credentialsFor(candidate, this.#options.keychain, unauthenticated)
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
      return known
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
      const ordinary = `${key}${how}${terms}`
      // Urgent callers start their own; later callers join it.
      const first = `${ordinary} urgent`
      const shared = urgent || this.#running.has(first) ? first : ordinary
      if (this.#running.has(shared)) cache.counted('coalesced')
      const resolution = await this.#share(shared, question, known, signal, span)
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
    return () => {
      const startedMs = performance.now()
      const current = registries().generation
      if (current !== generation) {
        generation = current
        question = questionOf(reference, { platform, unauthenticated }, this.#options)
      }
      const known = this.#known(question)
      if (known === undefined || !cache.isFresh(known)) return undefined
      this.#hit(question, known, startedMs)
      return known
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
    for (const key of this.#running.keys()) {
      if (isChanged(referenceOf(key))) this.#running.forget(key)
    }
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
    const attributes = { ...questionAttributes(question), ...answerAttributes(known) }
    tracing.start('resolve', { attributes }).end()
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
    traced('refresh', start, (span) => this.#share(key, refresh, known, signal, span)).then(
      done,
      done,
    )
  }

  /**
   * @param key of the resolutions that are one
   * @param signal ends the waiting of this caller; the last one ends the work
   */
  #share(
    key: string,
    question: Question,
    known: Resolution | undefined,
    signal: AbortSignal | undefined,
    span: Span | undefined,
  ): Promise<Resolution> {
    if (span !== undefined && this.#running.has(key)) markCoalesced(span, this.#spans.get(key))
    return this.#running.run(key, signal, async (ends, isCurrent) => {
      if (span !== undefined) this.#spans.set(key, span)
      try {
        return await new ResolveRun(question, this.#options, ends, isCurrent).run(known)
      } finally {
        if (this.#spans.get(key) === span) this.#spans.delete(key)
      }
    })
  }
}
