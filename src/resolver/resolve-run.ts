import { ownSignal } from '../concurrency/abortable.ts'
import type { Clock } from '../concurrency/clock.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { formatPlatform } from '../reference/platform.ts'
import { formatReference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImageIdentity } from '../registry/image.ts'
import type { ResolutionCache } from './cache/cache.ts'
import type { FailoverLimits } from './candidate-request.ts'
import { candidatesFor, credentialsFor, needsConsent, requireCandidates } from './candidates.ts'
import { divergencesIn } from './explain.ts'
import { ImageSearch } from './image-search.ts'
import type { Question } from './question.ts'
import type { SharedAnswer, SharedCache, SharedReply } from './shared-cache.ts'
import type {
  Candidate,
  Health,
  ImageSource,
  Keychain,
  Registries,
  Resolution,
  ResolutionObserver,
} from './types.ts'
import { allowsStale, candidatesOf } from './unresolved-error.ts'

/** What all resolutions have in common. */
export interface RunOptions {
  readonly source: ImageSource
  /** Called for each resolution, so that a new configuration takes effect at once, as is `limits`. */
  readonly registries: () => Registries
  readonly health: Health
  readonly cache: ResolutionCache
  readonly clock: Clock
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

/** One resolution: asks other nodes, then registries, and caches what they say, for all callers that wait for it. */
export class ResolveRun {
  readonly #question: Question
  readonly #options: RunOptions
  readonly #candidates: readonly Candidate[]
  readonly #signal: AbortSignal
  readonly #isCurrent: () => boolean

  /**
   * @param isCurrent false once the tag has changed: what the run brings may be the image before that, and is not cached
   */
  constructor(
    question: Question,
    options: RunOptions,
    signal: AbortSignal,
    isCurrent: () => boolean,
  ) {
    this.#question = question
    this.#options = options
    this.#candidates = candidatesFor(question.reference, options.registries(), question.credentials)
    this.#signal = signal
    this.#isCurrent = isCurrent
  }

  /**
   * @param cached an older answer, to be confirmed
   * @returns what another node or the registries say; else what was known, marked `stale`
   * @throws ResolveError
   */
  async run(cached: Resolution | undefined): Promise<Resolution> {
    const { reference } = this.#question
    const { cache, registries } = this.#options
    requireCandidates(reference, this.#candidates, registries().mirrorsOnly(reference))
    const shared = await this.#askNodes()
    if (shared?.answer !== undefined) {
      const { ageMs, identity } = shared.answer
      const resolution = this.#asOwn(shared.answer)
      this.#remember(resolution, identity)
      return { ...resolution, source: 'shared', ageMs }
    }
    const known = cached ?? (shared?.known && this.#asOwn(shared.known))
    if (known === undefined) cache.counted('miss')
    return this.#askRegistries(known, shared)
  }

  /** @returns undefined: this is not shared with other nodes */
  async #askNodes(): Promise<SharedReply | undefined> {
    const { direct, isPlatformAsked, key, maxAgeMs, platform, reference, sharing } = this.#question
    const { cache, health, limits } = this.#options
    const shared = sharing && this.#options.shared?.()
    if (!sharing || !shared || (direct && shared.asksServices)) return undefined
    const { keepMs, negativeTtlMs, tagTtlMs } = cache.limits
    const age = { kept: tagTtlMs, fresh: shared.freshnessMs, none: 0 }[sharing]
    const accepted = Math.min(age, maxAgeMs ?? Number.POSITIVE_INFINITY)
    const credentials = await Promise.all(this.#candidates.map(this.#credentials))
    const reply = await shared.lookup({
      reference: formatReference(reference),
      platform: formatPlatform(platform),
      isPlatformAsked,
      candidates: this.#candidates,
      credentials,
      // Where none is young enough, none that is under way is waited for.
      maxAgeMs: accepted > 0 ? accepted : undefined,
      negativeTtlMs,
      keptMs: keepMs,
      waitMs: limits().probeBudgetMs,
      signal: this.#signal,
    })
    if (reply.absence !== undefined) {
      const { ageMs, error } = reply.absence
      cache.rememberFailure(key, error, isPlatformAsked, ageMs)
      throw error
    }
    for (const [registry, retryAfterMs] of reply.parked) {
      if (health.parkedMs(registry) > 0) continue
      const message = 'another node was told to wait (429)'
      health.failure(registry, { code: 'TOOMANYREQUESTS', message, retryAfterMs })
    }
    // One HEAD is enough to confirm it.
    if (reply.known !== undefined) cache.rememberIdentity(reply.known.identity, platform)
    const tell = (outcome: Resolution | ResolveError): void => {
      reply.tell(outcome)
      for (const { outcome: what, registry } of outcome.attempts) {
        const index = this.#candidates.findIndex((each) => each.registry === registry)
        const candidate = this.#candidates[index]
        if (what !== 'rate_limited' || candidate === undefined) continue
        shared.park(candidate, credentials[index], health.parkedMs(registry))
      }
    }
    return { ...reply, tell }
  }

  /**
   * @param known an older answer
   * @param shared told what registries said
   */
  async #askRegistries(
    known: Resolution | undefined,
    shared: SharedReply | undefined,
  ): Promise<Resolution> {
    const { all, isPlatformAsked, key, reference } = this.#question
    const { cache, clock, limits, observer, ready, verifyDigest } = this.#options
    const what = formatReference(reference)
    const ends = ownSignal(this.#signal)
    const cancelDeadline = clock.after(limits().totalMs, () => {
      ends.end(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`))
    })
    try {
      await ready?.()
      const search = new ImageSearch(this.#question, this.#candidates, {
        ...this.#options,
        limits: limits(),
        expected: known !== undefined && !all,
        verifyDigest: verifyDigest?.() ?? false,
        credentials: this.#credentials,
        sharedIdentity: shared?.identity,
        signal: ends.signal,
      })
      const { identity, ...found } = await search.run()
      const resolution: Resolution = {
        ...identity,
        ...found,
        reference: what,
        source: 'registry',
        resolvedAt: clock.now(),
        expiresAt: this.#expiry(),
      }
      shared?.tell(resolution)
      for (const divergence of divergencesIn(resolution)) observer?.diverged?.(divergence)
      if (known !== undefined) {
        cache.counted(known.digest === resolution.digest ? 'revalidated' : 'miss')
      }
      this.#remember(resolution, identity)
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      shared?.tell(error)
      if (this.#isCurrent()) cache.rememberFailure(key, error, isPlatformAsked)
      if (known === undefined || all) throw error
      if (!cache.staleAllowed(known) || !allowsStale(error, known)) throw error
      cache.counted('stale')
      const { attempts } = error
      return { ...known, source: 'stale', attempts, candidates: candidatesOf(error) }
    } finally {
      cancelDeadline()
      ends.release()
    }
  }

  /** What is cached is the answer that later callers get, as it is. */
  #remember(resolution: Resolution, identity: ImageIdentity): void {
    const { key, platform } = this.#question
    if (!this.#isCurrent()) return
    const answer: Resolution = { ...resolution, source: 'cache', attempts: [] }
    this.#options.cache.remember(key, answer, identity, platform)
  }

  readonly #credentials = (candidate: Candidate): Promise<Credentials | undefined> =>
    credentialsFor(candidate, this.#options.keychain, this.#question.unauthenticated)

  /** The answer of another node, as this one would have had it then. */
  #asOwn({ ageMs, identity, references, registry }: SharedAnswer): Resolution {
    return {
      ...identity,
      references,
      registry,
      reference: formatReference(this.#question.reference),
      source: 'registry',
      resolvedAt: this.#options.clock.now() - ageMs,
      expiresAt: this.#expiry(ageMs),
      attempts: [],
    }
  }

  /** @returns undefined: never, as of a digest, unless the consent of an origin is to be asked for anew */
  #expiry(ageMs = 0): number | undefined {
    const isDigest = this.#question.reference.digest !== undefined
    return this.#options.cache.expiry(isDigest && !this.#candidates.some(needsConsent), ageMs)
  }
}
