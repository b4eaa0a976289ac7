import type { Clock } from '../concurrency/clock.ts'
import type { ResolveError } from '../errors.ts'
import { formatPlatform } from '../reference/platform.ts'
import { formatReference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImageIdentity } from '../registry/image.ts'
import type { ResolutionCache } from './cache/cache.ts'
import { needsConsent } from './candidates.ts'
import type { Question } from './question.ts'
import type { Candidate, Health, RankedReference, Resolution } from './types.ts'

/** A question as the nodes of a fleet share it: without a caller's credentials. */
export interface SharedQuestion {
  /** Normalised. */
  readonly reference: string
  /** `os/architecture[/variant]` */
  readonly platform: string
  /** The caller named the platform. */
  readonly isPlatformAsked: boolean
  /** The registries that would be asked; nodes that differ in this do not share an answer. */
  readonly candidates: readonly Candidate[]
  /** The operator's for each candidate, if any: what one account may see is not told to another. */
  readonly credentials: readonly (Credentials | undefined)[]
  /** How old an answer may be; undefined: none of another node is taken. */
  readonly maxAgeMs: number | undefined
  /** How old "no registry has it" may be, and how long it is kept. */
  readonly negativeTtlMs: number
  /** How long an answer is kept to be confirmed. */
  readonly keptMs: number
  /** How long another node is waited for that asks already. */
  readonly waitMs: number
  readonly signal: AbortSignal
}

/** What other nodes know. Ages are in milliseconds, by the clock of the store. */
export interface SharedReply {
  /** Young enough: no registry has to be asked. */
  readonly answer?: SharedAnswer
  /** As `answer`: no registry has it. */
  readonly absence?: { readonly error: ResolveError; readonly ageMs: number }
  /** An answer that is too old, to be confirmed. */
  readonly known?: SharedAnswer
  /** Which image a digest is. */
  identity(digest: string): Promise<ImageIdentity | undefined>
  /** Registries that told another node to wait, with what is left of it. */
  readonly parked: ReadonlyMap<string, number>
  /** To be called with what registries said, or that there is nothing to tell. The other nodes wait for it. */
  tell(outcome: Resolution | ResolveError): void
}

export interface SharedAnswer {
  readonly identity: ImageIdentity
  readonly registry: string
  readonly references: readonly RankedReference[]
  readonly ageMs: number
}

/** What the nodes of a fleet tell each other. No method rejects, and none waits longer than the budget of the store. */
export interface SharedCache {
  /** How old an answer of another node may be when a pull takes it. */
  readonly freshnessMs: number
  /** It asks other services, and is not asked for one of these: they could ask each other for ever. Default: no. */
  readonly asksServices?: boolean
  lookup(question: SharedQuestion): Promise<SharedReply>
  /** A registry answered 429 to a request with these credentials, which are not a caller's. */
  park(candidate: Candidate, credentials: Credentials | undefined, waitMs: number): void
}

export interface SharedLookupOptions {
  readonly shared: SharedCache
  readonly cache: ResolutionCache
  readonly health: Health
  readonly clock: Clock
  /** How long another node is waited for that asks already. */
  readonly waitMs: number
  readonly credentials: SharedQuestion['credentials']
  readonly signal: AbortSignal
}

/** What one resolution has of other nodes, and what it tells them. */
export class SharedLookup {
  /** The answer of another node, as this one would have had it then. */
  readonly taken: Resolution | undefined
  /** Of `taken`. */
  readonly ageMs: number
  /** What another node knew once. */
  readonly older: Resolution | undefined
  /** Which image a digest is, as other nodes know it. */
  readonly identity: (digest: string) => Promise<ImageIdentity | undefined>
  readonly #candidates: readonly Candidate[]
  readonly #options: SharedLookupOptions
  readonly #tell: SharedReply['tell']

  private constructor(
    question: Question,
    candidates: readonly Candidate[],
    { answer, identity, known, tell }: SharedReply,
    options: SharedLookupOptions,
  ) {
    this.#candidates = candidates
    this.#options = options
    this.#tell = tell
    this.identity = identity
    this.ageMs = answer?.ageMs ?? 0
    this.taken = answer && resolutionOf(answer, question, candidates, options)
    this.older = known && resolutionOf(known, question, candidates, options)
    // One HEAD is enough to confirm it.
    if (known !== undefined) options.cache.rememberIdentity(known.identity, question.platform)
  }

  /** @throws ResolveError MANIFEST_UNKNOWN, PLATFORM_UNKNOWN where another node was told so lately */
  static async begin(
    question: Question,
    candidates: readonly Candidate[],
    options: SharedLookupOptions,
  ): Promise<SharedLookup> {
    const { cache, credentials, health, shared, signal, waitMs } = options
    const { isPlatformAsked, key, platform, reference, sharing = 'none' } = question
    const { keepMs, negativeTtlMs, tagTtlMs } = cache.limits
    const ages = { kept: tagTtlMs, fresh: shared.freshnessMs, none: undefined }
    const age = Math.min(ages[sharing] ?? 0, question.maxAgeMs ?? Number.POSITIVE_INFINITY)
    const looked = await shared.lookup({
      reference: formatReference(reference),
      platform: formatPlatform(platform),
      isPlatformAsked,
      candidates,
      credentials,
      // Where none is young enough, none that is under way is waited for.
      maxAgeMs: age > 0 ? age : undefined,
      negativeTtlMs,
      keptMs: keepMs,
      waitMs,
      signal,
    })
    if (looked.absence !== undefined) {
      const { ageMs, error } = looked.absence
      cache.rememberFailure(key, error, isPlatformAsked, ageMs)
      throw error
    }
    for (const [registry, retryAfterMs] of looked.parked) {
      if (health.parkedMs(registry) > 0) continue
      const message = 'another node was told to wait (429)'
      health.failure(registry, { code: 'TOOMANYREQUESTS', message, retryAfterMs })
    }
    return new SharedLookup(question, candidates, looked, options)
  }

  /** Tells the other nodes what registries said, and which of them asked to be left alone. */
  tell(outcome: Resolution | ResolveError): void {
    this.#tell(outcome)
    const { credentials, health, shared } = this.#options
    for (const { outcome: what, registry } of outcome.attempts) {
      const index = this.#candidates.findIndex((each) => each.registry === registry)
      const candidate = this.#candidates[index]
      if (what !== 'rate_limited' || candidate === undefined) continue
      shared.park(candidate, credentials[index], health.parkedMs(registry))
    }
  }
}

/**
 * What of a question tells apart callers that do not share a resolution: those that take answers of others of
 * different ages, and those with a question that may not go further.
 */
export function termsOf(
  { direct, maxAgeMs, sharing = 'kept' }: Question,
  shared: SharedCache | undefined,
): string {
  if (shared === undefined) return ''
  const age = maxAgeMs === undefined ? '' : ` ${maxAgeMs}`
  const way = direct && shared.asksServices ? ' direct' : ''
  return `${sharing === 'kept' ? '' : ` ${sharing}`}${age}${way}`
}

/** As this node would have it, had it asked itself then. */
function resolutionOf(
  { ageMs, identity, references, registry }: SharedAnswer,
  question: Question,
  candidates: readonly Candidate[],
  { cache, clock }: SharedLookupOptions,
): Resolution {
  return {
    ...identity,
    references,
    registry,
    reference: formatReference(question.reference),
    source: 'registry',
    resolvedAt: clock.now() - ageMs,
    expiresAt: expiryOf(question, candidates, cache, ageMs),
    attempts: [],
  }
}

/** @returns undefined: never, as of a digest, unless the consent of an origin is to be asked for anew */
export function expiryOf(
  { reference }: Question,
  candidates: readonly Candidate[],
  cache: ResolutionCache,
  ageMs = 0,
): number | undefined {
  return cache.expiry(reference.digest !== undefined && !candidates.some(needsConsent), ageMs)
}
