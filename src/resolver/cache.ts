import { LRUCache } from 'lru-cache'
import type { ResolveError } from '../errors.ts'
import { formatPlatform, type Platform } from '../reference/platform.ts'
import type { ImageIdentity } from '../registry/image.ts'
import { Absences, isAbsence } from './absences.ts'
import { SetBack } from './set-back.ts'
import type { Resolution } from './types.ts'

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
 * want of a registry, `negative` a remembered "not there", `coalesced` another caller's walk was shared.
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

/** Which image a digest is for the platform that was asked for, `os/architecture[/variant]`. */
export interface KnownIdentity {
  readonly asked: string
  readonly identity: ImageIdentity
}

interface Place {
  resolution: Resolution
  /** How often it was asked for since it was learned. */
  asked: number
  refreshing: boolean
}

const NEGATIVE_TTL_MS = 10_000
const STALE_IF_ERROR_MS = 86_400_000
/** A tag that is asked for this often in one TTL is refreshed before it expires. */
const HOT = 3
/** The last part of a TTL, in which that is done. */
const REFRESH_PART = 0.2

/**
 * Two memories: where a reference leads (per caller's credentials, and a tag's only for a while)
 * and what a digest is (a fact about content, so for ever, as long as there is room). Beside them, for
 * seconds, what no registry has.
 */
export class ResolutionCache {
  #where: LRUCache<string, Place> | undefined
  #what: LRUCache<string, KnownIdentity> | undefined
  #absent: Absences | undefined
  #limits: Required<CacheLimits>
  readonly #now: () => number
  readonly #setBack: SetBack
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
    this.#setBack = new SetBack(now, steady)
    this.#open()
  }

  /** Takes over other limits, which hold for what is known already too; only failures are forgotten. */
  reconfigure(limits: CacheLimits): void {
    const next = withDefaults(limits)
    const names = Object.keys(next) as (keyof CacheLimits)[]
    if (names.every((name) => next[name] === this.#limits[name])) return
    const known = { where: [...this.#places()], what: [...this.#identities()] }
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
    const place = this.#where?.get(key)
    if (place === undefined) return undefined
    if (place.resolution.expiresAt === undefined) return place.resolution
    const now = this.#look()
    place.asked += 1
    if (this.#isKept(place.resolution, now)) return place.resolution
    this.#where?.delete(key)
    return undefined
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
    if (this.#now() < expiresAt - this.#limits.tagTtlMs * REFRESH_PART) return false
    const place = this.#where?.peek(key)
    if (place === undefined || place.refreshing || place.asked < HOT) return false
    place.refreshing = true
    return true
  }

  /** When an answer of this moment stops being fresh; undefined: never. */
  expiry(isDigest: boolean): number | undefined {
    return isDigest ? undefined : this.#now() + this.#limits.tagTtlMs
  }

  identity(digest: string, platform: Platform): ImageIdentity | undefined {
    return this.#what?.get(identityKey(digest, formatPlatform(platform)))?.identity
  }

  remember(key: string, resolution: Resolution, identity: ImageIdentity, platform: Platform): void {
    this.#look()
    this.#changes += 1
    this.#absent?.delete(key)
    this.#where?.set(key, { resolution, asked: 0, refreshing: false })
    const asked = formatPlatform(platform)
    this.#what?.set(identityKey(identity.digest, asked), { asked, identity })
  }

  /** That no registry has it, while that is believed. */
  failure(key: string): ResolveError | undefined {
    return this.#absent?.get(key, this.#look())
  }

  /**
   * Keeps only what is beyond doubt: every registry was asked, and every one said that it is not
   * there. What was known of that tag is forgotten then.
   */
  rememberFailure(key: string, error: ResolveError): void {
    if (!isAbsence(error)) return
    const since = this.#look()
    const place = this.#where?.peek(key)
    if (place?.resolution.expiresAt !== undefined) {
      this.#changes += 1
      this.#where?.delete(key)
    }
    this.#absent?.set(key, error, since)
  }

  counted(event: CacheEvent): void {
    this.#counts[event] += 1
  }

  counts(): CacheCounts {
    return {
      ...this.#counts,
      evicted: this.#evicted,
      entries: {
        where: this.#where?.size ?? 0,
        what: this.#what?.size ?? 0,
        negative: this.#absent?.size ?? 0,
      },
    }
  }

  /** Everything that is worth keeping, looked up as it is asked for: there may be a lot of it. */
  content(): CacheContent {
    return { where: this.#places(), what: this.#identities() }
  }

  /** Takes over what another run left; what was learned in this one stays, and TTLs are this one's. */
  restore({ where, what }: CacheContent): void {
    const now = this.#look()
    for (const known of [...what].reverse()) {
      this.#what?.set(identityKey(known.identity.digest, known.asked), known)
    }
    for (const [key, restored] of [...where].reverse()) {
      const resolution = this.#withinTtl(restored)
      if (this.#where?.has(key) || !this.#isKept(resolution, now)) continue
      this.#where?.set(key, { resolution, asked: 0, refreshing: false })
    }
  }

  #open(): void {
    const { size, negativeTtlMs: ttlMs } = this.#limits
    const onEvict = (): void => {
      this.#evicted += 1
    }
    const dispose = (_value: unknown, _key: string, reason: string): void => {
      if (reason === 'evict') onEvict()
    }
    const isOn = size > 0
    this.#where = isOn ? new LRUCache<string, Place>({ max: size, dispose }) : undefined
    this.#what = isOn ? new LRUCache<string, KnownIdentity>({ max: size, dispose }) : undefined
    this.#absent = isOn && ttlMs > 0 ? new Absences({ size, ttlMs, onEvict }) : undefined
  }

  *#places(): Generator<readonly [string, Resolution]> {
    for (const key of [...(this.#where?.keys() ?? [])]) {
      const resolution = this.#where?.peek(key)?.resolution
      if (resolution !== undefined && this.#isKept(resolution, this.#look()))
        yield [key, resolution]
    }
  }

  *#identities(): Generator<KnownIdentity> {
    for (const key of [...(this.#what?.keys() ?? [])]) {
      const known = this.#what?.peek(key)
      if (known !== undefined) yield known
    }
  }

  #withinTtl(resolution: Resolution): Resolution {
    const { resolvedAt, expiresAt } = resolution
    const latest = resolvedAt + this.#limits.tagTtlMs
    if (expiresAt === undefined || expiresAt <= latest) return resolution
    return { ...resolution, expiresAt: latest }
  }

  #isKept({ resolvedAt, expiresAt }: Resolution, now: number): boolean {
    if (expiresAt === undefined) return true
    return now - resolvedAt <= Math.max(this.#limits.keepMs, this.#limits.staleIfErrorMs)
  }

  /** The time; a clock that was set back takes everything that was learned before along with it. */
  #look(): number {
    const now = this.#now()
    const byMs = this.#setBack.byMs(now)
    if (byMs > 0) this.#moveBack(byMs)
    return now
  }

  #moveBack(ms: number): void {
    for (const place of this.#where?.values() ?? []) {
      const { resolvedAt, expiresAt } = place.resolution
      if (expiresAt === undefined) continue
      place.resolution = {
        ...place.resolution,
        resolvedAt: resolvedAt - ms,
        expiresAt: expiresAt - ms,
      }
    }
    this.#absent?.moveBack(ms)
  }
}

function identityKey(digest: string, platform: string): string {
  return `${digest} ${platform}`
}

function withDefaults(limits: CacheLimits): Required<CacheLimits> {
  return { negativeTtlMs: NEGATIVE_TTL_MS, staleIfErrorMs: STALE_IF_ERROR_MS, ...limits }
}
