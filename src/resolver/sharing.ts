import type { Clock } from '../concurrency/clock.ts'
import type { ResolveError } from '../errors.ts'
import { formatPlatform } from '../reference/platform.ts'
import { formatReference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImageIdentity } from '../registry/image.ts'
import type { ResolutionCache } from './cache/cache.ts'
import { needsConsent } from './candidates.ts'
import type { ChangedTag } from './changed-tags.ts'
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
  /** The registries that would be asked; nodes whose configuration differs in this do not share an answer. */
  readonly candidates: readonly Candidate[]
  /** As accountOf, for each candidate: what one account may see is not told to another. */
  readonly accounts: readonly string[]
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
export interface SharedLookup {
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

/** What the nodes of a fleet tell each other. Nothing of it rejects, nor waits longer than the budget of the store. */
export interface SharedCache {
  /** How old an answer of another node may be when a pull takes it. */
  readonly freshnessMs: number
  /** It asks other services, and is not asked for one of these: they could ask each other for ever. Default: no. */
  readonly asksServices?: boolean
  lookup(question: SharedQuestion): Promise<SharedLookup>
  /** What is shared of references that lead to changed tags is too old from now on. */
  expire(changes: readonly Pick<ChangedTag, 'repository' | 'tag'>[]): Promise<void>
  /** A registry answered 429 to a request without a caller's credentials. */
  park(candidate: Candidate, waitMs: number): void
}

/**
 * Which account credentials are of, without their secret: helpers give each node another password for the same one.
 * '' for none.
 */
export function accountOf(credentials: Credentials | undefined): string {
  if (credentials === undefined) return ''
  return credentials.kind === 'basic' ? `basic ${credentials.username}` : credentials.kind
}

export interface SharingOptions {
  readonly store: SharedCache
  readonly cache: ResolutionCache
  readonly health: Health
  readonly clock: Clock
  /** How long another node is waited for that asks already. */
  readonly waitMs: number
  readonly accounts: readonly string[]
  readonly signal: AbortSignal
}

/** What one resolution has of other nodes, and what it tells them. */
export class Sharing {
  /** The answer of another node, as this one would have had it then. */
  readonly taken: Resolution | undefined
  /** Of `taken`. */
  readonly ageMs: number
  /** What another node knew once. */
  readonly older: Resolution | undefined
  /** Which image a digest is, as other nodes know it. */
  readonly identity: (digest: string) => Promise<ImageIdentity | undefined>
  readonly #candidates: readonly Candidate[]
  readonly #options: SharingOptions
  readonly #tell: SharedLookup['tell']

  private constructor(
    question: Question,
    candidates: readonly Candidate[],
    { answer, identity, known, tell }: SharedLookup,
    options: SharingOptions,
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
    options: SharingOptions,
  ): Promise<Sharing> {
    const { accounts, cache, health, signal, store, waitMs } = options
    const { isPlatformAsked, key, platform, reference, sharing = 'none' } = question
    const { keepMs, negativeTtlMs, tagTtlMs } = cache.limits
    const ages = { kept: tagTtlMs, fresh: store.freshnessMs, none: undefined }
    const looked = await store.lookup({
      reference: formatReference(reference),
      platform: formatPlatform(platform),
      isPlatformAsked,
      candidates,
      accounts,
      maxAgeMs: ages[sharing] && Math.min(ages[sharing], question.maxAgeMs ?? ages[sharing]),
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
    return new Sharing(question, candidates, looked, options)
  }

  /** Tells the other nodes what registries said, and which of them asked to be left alone. */
  tell(outcome: Resolution | ResolveError): void {
    this.#tell(outcome)
    const { health, store } = this.#options
    for (const { outcome: what, registry } of outcome.attempts) {
      const candidate = this.#candidates.find((each) => each.registry === registry)
      if (what !== 'rate_limited' || candidate === undefined) continue
      store.park(candidate, health.parkedMs(registry))
    }
  }
}

/**
 * What of a question tells apart callers that do not share a resolution: those that take answers of others of
 * different ages, and those whose question may not go further.
 */
export function termsOf(
  { direct, maxAgeMs, sharing = 'kept' }: Question,
  store: SharedCache | undefined,
): string {
  if (store === undefined) return ''
  const age = maxAgeMs === undefined ? '' : ` ${maxAgeMs}`
  const way = direct && store.asksServices ? ' direct' : ''
  return `${sharing === 'kept' ? '' : ` ${sharing}`}${age}${way}`
}

/** As this node would have it, had it asked itself then. */
function resolutionOf(
  { ageMs, identity, references, registry }: SharedAnswer,
  question: Question,
  candidates: readonly Candidate[],
  { cache, clock }: SharingOptions,
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
