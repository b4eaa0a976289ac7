import type { ResolveError } from '../../errors.ts'
import { formatPlatform, type Platform } from '../../reference/platform.ts'
import type { ImageIdentity } from '../../registry/image.ts'
import type { Resolution } from '../types.ts'
import { ClockSkew } from './clock-skew.ts'
import { DigestCache, type KnownIdentity } from './digests.ts'
import { isAbsence, NegativeCache } from './negatives.ts'
import { TagCache } from './tags.ts'

export interface CacheLimits {
  /** Entries of each kind; 0 turns the cache off, with all it remembers. */
  readonly size: number
  /** How long a tag's answer is given without asking again. */
  readonly tagTtlMs: number
  /** How long it is kept beyond that, to be revalidated with one HEAD. */
  readonly keepMs: number
  /** How long "no registry has it" is believed; 0: never. Default 10 s. */
  readonly negativeTtlMs?: number
  /** How old an answer may be that is given when no registry answers; 0: never given. Default 24 h. */
  readonly staleIfErrorMs?: number
}

/**
 * What came of a question: `hit` fresh from memory, `miss` a registry was asked and nothing was
 * known, `revalidated` an old answer turned out to be true still, `stale` an old one was given for
 * want of a registry, `negative` a remembered "not there", `coalesced` another caller's resolution was shared.
 */
export type CacheEvent = 'hit' | 'miss' | 'coalesced' | 'stale' | 'negative' | 'revalidated'

/** Since the start; `entries` are those of now. */
export interface CacheCounts extends Readonly<Record<CacheEvent, number>> {
  /** Left for want of room. */
  readonly evicted: number
  readonly entries: { readonly where: number; readonly what: number; readonly negative: number }
}

/** What a snapshot keeps of a cache; the most recently used first. */
export interface CacheContent {
  readonly where: Iterable<readonly [key: string, resolution: Resolution]>
  readonly what: Iterable<KnownIdentity>
}

const NEGATIVE_TTL_MS = 10_000
const STALE_IF_ERROR_MS = 86_400_000

/**
 * The cache's name for a question.
 *
 * @param generation of the configuration
 * @param reference normalised
 * @param platform `os/architecture[/variant]`
 * @param who fingerprint of the caller's credentials
 */
export function resolutionKey(
  generation: number,
  reference: string,
  platform: string,
  who: string,
): string {
  return `${generation} ${reference} ${platform} ${who}`
}

/**
 * Two memories: where a reference leads (per caller's credentials, and a tag's only for a while)
 * and what a digest is (a fact about content, so for ever, as long as there is room). Beside them, for
 * seconds, what no registry has.
 */
export class ResolutionCache {
  #tags: TagCache | undefined
  #digests: DigestCache | undefined
  #negatives: NegativeCache | undefined
  #limits: Required<CacheLimits>
  readonly #now: () => number
  readonly #skew: ClockSkew
  readonly #counts = { hit: 0, miss: 0, coalesced: 0, stale: 0, negative: 0, revalidated: 0 }
  #evicted = 0
  #changes = 0

  /**
   * @param now milliseconds since the epoch
   * @param steady milliseconds of a clock that nobody sets; with it a clock that is set back while
   * nobody asks is noticed too
   */
  constructor(limits: CacheLimits, now: () => number, steady: () => number = () => 0) {
    this.#limits = withDefaults(limits)
    this.#now = now
    this.#skew = new ClockSkew(now, steady)
    this.#open()
  }

  /** Takes over other limits, which hold for what is known already too; only failures are forgotten. */
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

  /** Grows with everything that a snapshot would keep. */
  get changes(): number {
    return this.#changes
  }

  /** The last answer, however old as long as it is kept; `isFresh` tells whether it may be given as it is. */
  resolution(key: string): Resolution | undefined {
    return this.#tags?.get(key)
  }

  /** An answer from the future is not: the clock was wrong then or is wrong now. */
  isFresh({ resolvedAt, expiresAt }: Resolution): boolean {
    if (expiresAt === undefined) return true
    const now = this.#now()
    return resolvedAt <= now && now < expiresAt
  }

  /** Whether it may be given, marked as stale, when no registry answers. */
  staleAllowed({ resolvedAt, expiresAt }: Resolution): boolean {
    if (expiresAt === undefined) return true
    const ageMs = this.#now() - resolvedAt
    return ageMs >= 0 && ageMs < this.#limits.staleIfErrorMs
  }

  /**
   * Whether a fresh tag's answer is worth asking for anew before it expires: it was asked for often,
   * and the end of its TTL is near. True once for each answer that is remembered.
   */
  wantsRefresh(key: string, { expiresAt }: Resolution): boolean {
    if (expiresAt === undefined) return false
    return this.#tags?.wantsRefresh(key, expiresAt, this.#now()) ?? false
  }

  /** When an answer of this moment stops being fresh; undefined: never. */
  expiry(isDigest: boolean): number | undefined {
    return isDigest ? undefined : this.#now() + this.#limits.tagTtlMs
  }

  identity(digest: string, platform: Platform): ImageIdentity | undefined {
    return this.#digests?.get(digest, platform)
  }

  remember(key: string, resolution: Resolution, identity: ImageIdentity, platform: Platform): void {
    this.#look()
    this.#changes += 1
    this.#negatives?.delete(key)
    this.#negatives?.delete(exactly(key))
    this.#tags?.set(key, resolution)
    this.#digests?.set({ asked: formatPlatform(platform), identity })
  }

  /**
   * That no registry has it, while that is believed.
   *
   * @param isExact the platform was named
   */
  failure(key: string, isExact = false): ResolveError | undefined {
    const now = this.#look()
    return (
      this.#negatives?.get(key, now) ??
      (isExact ? this.#negatives?.get(exactly(key), now) : undefined)
    )
  }

  /**
   * Keeps only what is beyond doubt: every registry was asked, and every one said that it is not
   * there. What was known of that tag is forgotten then.
   *
   * @param isExact the platform was named: what is for another one, or for nobody knows which, may well be
   * there for who named none
   */
  rememberFailure(key: string, error: ResolveError, isExact = false): void {
    if (!isAbsence(error)) return
    const since = this.#look()
    const isApart = isExact && this.#tags?.get(key)?.platform.assumed === true
    if (!isApart && this.#tags?.forgetTag(key)) this.#changes += 1
    this.#negatives?.set(isExact ? exactly(key) : key, error, since)
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

  /** Everything that is worth keeping, looked up as it is asked for: there may be a lot of it. */
  content(): CacheContent {
    return { where: this.#tags?.entries() ?? [], what: this.#digests?.entries() ?? [] }
  }

  /** Takes over what another run left; what was learned in this one stays, and TTLs are this one's. */
  restore({ where, what }: CacheContent): void {
    for (const known of [...what].reverse()) this.#digests?.set(known)
    for (const [key, resolution] of [...where].reverse()) this.#tags?.restore(key, resolution)
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
    this.#digests = isOn ? new DigestCache({ size, onEvict }) : undefined
    this.#negatives = isOn && ttlMs > 0 ? new NegativeCache({ size, ttlMs, onEvict }) : undefined
  }

  /** The time; a clock that was set back takes everything that was learned before along with it. */
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

function exactly(key: string): string {
  return `${key} exactly`
}

function withDefaults(limits: CacheLimits): Required<CacheLimits> {
  return { negativeTtlMs: NEGATIVE_TTL_MS, staleIfErrorMs: STALE_IF_ERROR_MS, ...limits }
}
