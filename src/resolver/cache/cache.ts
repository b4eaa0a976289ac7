import { LRUCache } from 'lru-cache'
import type { ResolveError } from '../../errors.ts'
import { formatPlatform, type Platform } from '../../reference/platform.ts'
import type { ImageIdentity } from '../../registry/image.ts'
import type { Resolution } from '../types.ts'
import { isAbsence, NegativeCache } from './negatives.ts'
import { TagCache } from './tags.ts'

export interface CacheLimits {
  /** Entries of each kind; 0 turns the cache off, with all it remembers. */
  readonly size: number
  /** How long the answer for a tag is fresh. */
  readonly tagTtlMs: number
  /** How long it is kept beyond that, for revalidation by one HEAD. */
  readonly keepMs: number
  /** How long an absence is cached; 0: never. Default 10 s. */
  readonly negativeTtlMs?: number
  /** Maximum age of an answer that is given when no registry answers; 0: never. Default 24 h. */
  readonly staleIfErrorMs?: number
}

/**
 * `hit`: fresh from memory. `miss`: a registry was asked, and nothing was known. `revalidated`: a registry confirmed
 * an old answer. `stale`: an old answer was given, since no registry answered. `negative`: a cached absence.
 * `coalesced`: the resolution of another caller was shared.
 */
export type CacheEvent = 'hit' | 'miss' | 'coalesced' | 'stale' | 'negative' | 'revalidated'

/** Since the start; `entries` are those of now. */
export interface CacheCounts extends Readonly<Record<CacheEvent, number>> {
  /** Removed to make room. */
  readonly evicted: number
  readonly entries: { readonly where: number; readonly what: number; readonly negative: number }
}

/** Which image a digest is for a platform, `os/architecture[/variant]`. */
export interface KnownIdentity {
  readonly asked: string
  readonly identity: ImageIdentity
}

/** What a snapshot keeps of a cache, the most recently used first. */
export interface CacheContent {
  readonly where: Iterable<readonly [key: string, resolution: Resolution]>
  readonly what: Iterable<KnownIdentity>
}

const NEGATIVE_TTL_MS = 10_000
const STALE_IF_ERROR_MS = 86_400_000

/**
 * The key of a question.
 *
 * @param generation of the configuration
 * @param reference normalised
 * @param platform `os/architecture[/variant]`
 * @param caller fingerprint of its credentials
 */
export function resolutionKey(
  generation: number,
  reference: string,
  platform: string,
  caller: string,
): string {
  // join() gives one string, where a template keeps all its parts in memory, and is found faster in a map.
  return [generation, reference, platform, caller].join(' ')
}

function referenceOf(key: string): string {
  return key.split(' ', 2)[1] ?? ''
}

/**
 * Caches where a reference leads (by the caller's credentials; for a tag only for a while), which image a digest is
 * (for ever, as long as there is room), and for seconds what no registry has.
 */
export class ResolutionCache {
  #tags: TagCache | undefined
  #digests: LRUCache<string, KnownIdentity> | undefined
  #negatives: NegativeCache | undefined
  #limits: Required<CacheLimits>
  readonly #now: () => number
  readonly #skew: ClockSkew
  readonly #counts = { hit: 0, miss: 0, coalesced: 0, stale: 0, negative: 0, revalidated: 0 }
  #evicted = 0
  #changes = 0

  /**
   * @param now milliseconds since the epoch
   * @param steady milliseconds of a monotonic clock, to notice that the other one was set back
   */
  constructor(limits: CacheLimits, now: () => number, steady: () => number = () => 0) {
    this.#limits = withDefaults(limits)
    this.#now = now
    this.#skew = new ClockSkew(now, steady)
    this.#open()
  }

  /** Takes over other limits, also for what is cached already; only absences are dropped. */
  reconfigure(limits: CacheLimits): void {
    const next = withDefaults(limits)
    const names = Object.keys(next) as (keyof CacheLimits)[]
    if (names.every((name) => next[name] === this.#limits[name])) return
    const { where, what } = this.content()
    const known = { where: [...where], what: [...what] }
    this.#limits = next
    this.#open()
    this.restore(known)
  }

  /** Grows with every change of what a snapshot keeps. */
  get changes(): number {
    return this.#changes
  }

  /** The last answer, however old; see `isFresh`. */
  resolution(key: string): Resolution | undefined {
    return this.#tags?.get(key)
  }

  /**
   * An answer from the future is not fresh: the clock was wrong then or is wrong now.
   *
   * @param maxAgeMs also since a registry was asked; default: as long as answers are fresh
   */
  isFresh({ resolvedAt, expiresAt }: Resolution, maxAgeMs?: number): boolean {
    if (expiresAt === undefined && maxAgeMs === undefined) return true
    const now = this.#now()
    const isYoung = maxAgeMs === undefined || now - resolvedAt <= maxAgeMs
    return resolvedAt <= now && isYoung && (expiresAt === undefined || now < expiresAt)
  }

  /** Whether it may be given, marked `stale`, when no registry answers. */
  staleAllowed({ resolvedAt, expiresAt }: Resolution): boolean {
    if (expiresAt === undefined) return true
    const ageMs = this.#now() - resolvedAt
    return ageMs >= 0 && ageMs < this.#limits.staleIfErrorMs
  }

  /**
   * Whether to refresh the answer for a tag before it expires: it is requested often, and the end of its TTL is
   * near. True once for each answer.
   */
  wantsRefresh(key: string, { expiresAt }: Resolution): boolean {
    if (expiresAt === undefined) return false
    return this.#tags?.wantsRefresh(key, expiresAt, this.#now()) ?? false
  }

  /** When an answer of that age expires; undefined: never. */
  expiry(isDigest: boolean, ageMs = 0): number | undefined {
    return isDigest ? undefined : this.#now() + this.#limits.tagTtlMs - ageMs
  }

  get limits(): Required<CacheLimits> {
    return this.#limits
  }

  identity(digest: string, platform: Platform): ImageIdentity | undefined {
    return this.#digests?.get(identityKey(digest, formatPlatform(platform)))?.identity
  }

  remember(key: string, resolution: Resolution, identity: ImageIdentity, platform: Platform): void {
    this.#look()
    this.#changes += 1
    this.#negatives?.delete(key)
    this.#negatives?.delete(exactly(key))
    this.#tags?.set(key, resolution)
    this.#know({ asked: formatPlatform(platform), identity })
  }

  rememberIdentity(identity: ImageIdentity, platform: Platform): void {
    this.#changes += 1
    this.#know({ asked: formatPlatform(platform), identity })
  }

  /**
   * The cached absence.
   *
   * @param isExact the platform was named
   * @param maxAgeMs default: as long as absences are believed
   */
  failure(key: string, isExact = false, maxAgeMs?: number): ResolveError | undefined {
    const now = this.#look()
    return (
      this.#negatives?.get(key, now, maxAgeMs) ??
      (isExact ? this.#negatives?.get(exactly(key), now, maxAgeMs) : undefined)
    )
  }

  /**
   * Caches an absence, and drops what is known of that tag: every registry was asked, and none has it. Other errors
   * are not cached.
   *
   * @param isExact the platform was named: callers that name none may be given an image for another one
   * @param ageMs since the registries were asked
   */
  rememberFailure(key: string, error: ResolveError, isExact = false, ageMs = 0): void {
    if (!isAbsence(error)) return
    const since = this.#look() - ageMs
    const isApart = isExact && this.#tags?.get(key)?.platform.assumed === true
    if (!isApart && this.#tags?.forgetTag(key)) this.#changes += 1
    this.#negatives?.set(isExact ? exactly(key) : key, error, since)
  }

  /**
   * Ends the freshness of answers for tags, and drops the absences of these.
   *
   * @param isMeant by the normalised reference
   * @returns how many answers and absences were believed until now
   */
  expire(isMeant: (reference: string) => boolean): number {
    this.#look()
    const expired = this.#tags?.expire(isMeant) ?? 0
    if (expired > 0) this.#changes += 1
    return expired + (this.#negatives?.drop((key) => isMeant(referenceOf(key))) ?? 0)
  }

  counted(event: CacheEvent): void {
    this.#counts[event] += 1
  }

  counts(): CacheCounts {
    return {
      ...this.#counts,
      evicted: this.#evicted,
      entries: {
        where: this.#tags?.size ?? 0,
        what: this.#digests?.size ?? 0,
        negative: this.#negatives?.size ?? 0,
      },
    }
  }

  /** Everything that a snapshot keeps, looked up while it is read. */
  content(): CacheContent {
    return { where: this.#tags?.entries() ?? [], what: this.#knownIdentities() }
  }

  /** Takes over the content of another run. Newer entries stay, and TTLs are those of this run. */
  restore({ where, what }: CacheContent): void {
    for (const known of [...what].reverse()) this.#know(known)
    for (const [key, resolution] of [...where].reverse()) this.#tags?.restore(key, resolution)
  }

  #know(known: KnownIdentity): void {
    this.#digests?.set(identityKey(known.identity.digest, known.asked), known)
  }

  /** Keys first: the cache may change while its content is read. */
  *#knownIdentities(): Generator<KnownIdentity> {
    for (const key of [...(this.#digests?.keys() ?? [])]) {
      const known = this.#digests?.peek(key)
      if (known !== undefined) yield known
    }
  }

  #open(): void {
    const { keepMs, negativeTtlMs: ttlMs, size, staleIfErrorMs, tagTtlMs } = this.#limits
    const isOn = size > 0
    const keptMs = Math.max(keepMs, staleIfErrorMs)
    const now = (): number => this.#look()
    const onEvict = (): void => {
      this.#evicted += 1
    }
    this.#tags = isOn ? new TagCache({ size, tagTtlMs, keptMs, now, onEvict }) : undefined
    this.#digests = isOn
      ? new LRUCache({
          max: size,
          dispose: (_known, _key, reason) => {
            if (reason === 'evict') onEvict()
          },
        })
      : undefined
    this.#negatives = isOn && ttlMs > 0 ? new NegativeCache({ size, ttlMs, onEvict }) : undefined
  }

  /** The time. Where the clock was set back, the times of all entries are. */
  #look(): number {
    const now = this.#now()
    const byMs = this.#skew.byMs(now)
    if (byMs > 0) {
      this.#tags?.moveBack(byMs)
      this.#negatives?.moveBack(byMs)
    }
    return now
  }
}

function identityKey(digest: string, platform: string): string {
  return [digest, platform].join(' ')
}

function exactly(key: string): string {
  return `${key} exactly`
}

function withDefaults(limits: CacheLimits): Required<CacheLimits> {
  return { negativeTtlMs: NEGATIVE_TTL_MS, staleIfErrorMs: STALE_IF_ERROR_MS, ...limits }
}

/** Two clocks that are read one after the other may differ by this. */
const TOLERANCE_MS = 100

/** Notices that the wall clock was set back, which would make every entry look younger. */
export class ClockSkew {
  readonly #now: () => number
  readonly #steady: () => number
  /** The most by which the wall clock was ahead of the monotonic one. */
  #ahead: number

  /** @param steady a monotonic clock; a constant notices steps between two calls of byMs */
  constructor(now: () => number, steady: () => number) {
    this.#now = now
    this.#steady = steady
    this.#ahead = now() - steady()
  }

  /**
   * Milliseconds by which it was set back since the last call, rounded up; nearly always 0.
   *
   * @param now of the wall clock
   */
  byMs(now: number): number {
    if (this.#behindMs(now) <= TOLERANCE_MS) return 0
    // A process that is suspended between the two clocks looks the same, but hardly ever twice.
    const byMs = this.#behindMs(this.#now())
    if (byMs <= TOLERANCE_MS) return 0
    this.#ahead -= byMs
    return Math.ceil(byMs)
  }

  #behindMs(now: number): number {
    const ahead = now - this.#steady()
    // Set forward, entries only expire early; after a suspended node they are that old.
    this.#ahead = Math.max(this.#ahead, ahead)
    return this.#ahead - ahead
  }
}
