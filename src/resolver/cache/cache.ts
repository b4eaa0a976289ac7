import { LRUCache } from 'lru-cache'
import { ClockSkew } from '../../concurrency/clock.ts'
import { type Attempt, type ErrorCode, ResolveError } from '../../errors.ts'
import { upTo } from '../../lru.ts'
import { formatPlatform, type Platform } from '../../reference/platform.ts'
import type { ImageIdentity } from '../../registry/image.ts'
import { referenceOf } from '../question.ts'
import type { CacheContent, CacheCounts, CacheEvent, KnownIdentity, Resolution } from '../types.ts'
import { isAbsence } from '../unresolved-error.ts'

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

interface Entry {
  resolution: Resolution
  /** How often it was requested since it was resolved. */
  asked: number
  refreshing: boolean
}

/** An error without its stack and cause. */
interface Absence {
  readonly code: ErrorCode
  readonly message: string
  readonly attempts: readonly Attempt[]
  since: number
}

const NEGATIVE_TTL_MS = 10_000
const STALE_IF_ERROR_MS = 86_400_000
/** A tag that is requested this often in one TTL is refreshed before it expires. */
const HOT = 3
/** The last part of a TTL, in which it is refreshed. */
const REFRESH_PART = 0.2

/**
 * Caches where a reference leads (by the caller's credentials; for a tag only for a while), which image a digest is
 * (for ever, as long as there is room), and for seconds what no registry has.
 */
export class ResolutionCache {
  #where: LRUCache<string, Entry>
  #what: LRUCache<string, KnownIdentity>
  #absent: LRUCache<string, Absence>
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
    this.#where = this.#open()
    this.#what = this.#open()
    this.#absent = this.#open()
  }

  /** Takes over other limits, also for what is cached already; only absences are dropped. */
  reconfigure(limits: CacheLimits): void {
    const next = withDefaults(limits)
    const names = Object.keys(next) as (keyof CacheLimits)[]
    if (names.every((name) => next[name] === this.#limits[name])) return
    const { where, what } = this.content()
    const known = { where: [...where], what: [...what] }
    this.#limits = next
    this.#where = this.#open()
    this.#what = this.#open()
    this.#absent = this.#open()
    this.restore(known)
  }

  /** Grows with every change of what a snapshot keeps. */
  get changes(): number {
    return this.#changes
  }

  /** The last answer, however old, as long as it is kept; see `isFresh`. */
  resolution(key: string): Resolution | undefined {
    const entry = this.#where.get(key)
    if (entry === undefined) return undefined
    if (entry.resolution.expiresAt === undefined) return entry.resolution
    const now = this.#look()
    entry.asked += 1
    if (this.#isKept(entry.resolution, now)) return entry.resolution
    this.#where.delete(key)
    return undefined
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
    const { tagTtlMs } = this.#limits
    if (expiresAt === undefined || this.#now() < expiresAt - tagTtlMs * REFRESH_PART) return false
    const entry = this.#where.peek(key)
    if (entry === undefined || entry.refreshing || entry.asked < HOT) return false
    entry.refreshing = true
    return true
  }

  /** When an answer of that age expires; undefined: never. */
  expiry(isDigest: boolean, ageMs = 0): number | undefined {
    return isDigest ? undefined : this.#now() + this.#limits.tagTtlMs - ageMs
  }

  get limits(): Required<CacheLimits> {
    return this.#limits
  }

  identity(digest: string, platform: Platform): ImageIdentity | undefined {
    return this.#what.get(identityKey(digest, formatPlatform(platform)))?.identity
  }

  remember(key: string, resolution: Resolution, identity: ImageIdentity, platform: Platform): void {
    this.#look()
    this.#absent.delete(key)
    this.#absent.delete(exactly(key))
    this.#keep(key, resolution)
    this.rememberIdentity(identity, platform)
  }

  rememberIdentity(identity: ImageIdentity, platform: Platform): void {
    this.#changes += 1
    this.#know({ asked: formatPlatform(platform), identity })
  }

  /**
   * The cached absence.
   *
   * @param isExact the platform was named
   * @param maxAgeMs an older one is not given; default: as long as absences are believed
   */
  failure(key: string, isExact = false, maxAgeMs: number = Number.POSITIVE_INFINITY) {
    const now = this.#look()
    for (const each of isExact ? [key, exactly(key)] : [key]) {
      const absence = this.#absent.get(each)
      if (absence === undefined) continue
      const ageMs = now - absence.since
      if (ageMs >= this.#limits.negativeTtlMs) this.#absent.delete(each)
      else if (ageMs <= maxAgeMs) {
        const { attempts, code, message } = absence
        return new ResolveError(code, message, { attempts })
      }
    }
    return undefined
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
    const isApart = isExact && this.resolution(key)?.platform.assumed === true
    const isTag = this.#where.peek(key)?.resolution.expiresAt !== undefined
    if (!isApart && isTag && this.#where.delete(key)) this.#changes += 1
    if (this.#limits.size === 0 || this.#limits.negativeTtlMs === 0) return
    const { attempts, code, message } = error
    this.#absent.set(isExact ? exactly(key) : key, { code, message, attempts, since })
  }

  /**
   * Ends the freshness of answers for tags, which stay to be confirmed, and for when no registry answers; and drops the
   * absences of these.
   *
   * @param isMeant by the normalised reference
   * @returns how many answers and absences were believed until now
   */
  expire(isMeant: (reference: string) => boolean): number {
    const now = this.#look()
    let count = 0
    for (const entry of this.#where.values()) {
      const { expiresAt, reference } = entry.resolution
      if (expiresAt === undefined || expiresAt <= now || !isMeant(reference)) continue
      entry.resolution = { ...entry.resolution, expiresAt: now }
      count += 1
    }
    if (count > 0) this.#changes += 1
    const absent = [...this.#absent.keys()].filter((key) => isMeant(referenceOf(key)))
    for (const key of absent) this.#absent.delete(key)
    return count + absent.length
  }

  counted(event: CacheEvent): void {
    this.#counts[event] += 1
  }

  counts(): CacheCounts {
    const entries = {
      where: this.#where.size,
      what: this.#what.size,
      negative: this.#absent.size,
    }
    return { ...this.#counts, evicted: this.#evicted, entries }
  }

  /** Everything that a snapshot keeps, looked up while it is read. */
  content(): CacheContent {
    return { where: this.#keptAnswers(), what: this.#knownIdentities() }
  }

  /** Takes over the content of another run. Newer entries stay, and TTLs are those of this run. */
  restore({ where, what }: CacheContent): void {
    for (const known of [...what].reverse()) this.#know(known)
    for (const [key, restored] of [...where].reverse()) {
      const { resolvedAt, expiresAt } = restored
      const latest = resolvedAt + this.#limits.tagTtlMs
      const isWithin = expiresAt === undefined || expiresAt <= latest
      const resolution = isWithin ? restored : { ...restored, expiresAt: latest }
      if (this.#where.has(key) || !this.#isKept(resolution, this.#look())) continue
      this.#keep(key, resolution)
    }
  }

  #keep(key: string, resolution: Resolution): void {
    if (this.#limits.size === 0) return
    this.#where.set(key, { resolution, asked: 0, refreshing: false })
  }

  #know(known: KnownIdentity): void {
    if (this.#limits.size === 0) return
    this.#what.set(identityKey(known.identity.digest, known.asked), known)
  }

  /** Answers for tags are kept for a while, those for digests for ever, as long as there is room. */
  #isKept({ resolvedAt, expiresAt }: Resolution, now: number): boolean {
    const { keepMs, staleIfErrorMs } = this.#limits
    return expiresAt === undefined || now - resolvedAt <= Math.max(keepMs, staleIfErrorMs)
  }

  /** Keys first: the cache may change while its content is read. */
  *#keptAnswers(): Generator<readonly [string, Resolution]> {
    for (const key of [...this.#where.keys()]) {
      const resolution = this.#where.peek(key)?.resolution
      if (resolution && this.#isKept(resolution, this.#look())) yield [key, resolution]
    }
  }

  *#knownIdentities(): Generator<KnownIdentity> {
    for (const key of [...this.#what.keys()]) {
      const known = this.#what.peek(key)
      if (known !== undefined) yield known
    }
  }

  /** A cache that is turned off stays empty. */
  #open<V extends object>(): LRUCache<string, V> {
    return new LRUCache<string, V>({
      ...upTo(Math.max(this.#limits.size, 1)),
      dispose: (_value, _key, reason) => {
        if (reason === 'evict') this.#evicted += 1
      },
    })
  }

  /** The time. Where the clock was set back, the times of all entries are. */
  #look(): number {
    const now = this.#now()
    const byMs = this.#skew.byMs(now)
    if (byMs > 0) this.#moveBack(byMs)
    return now
  }

  #moveBack(ms: number): void {
    for (const entry of this.#where.values()) {
      const { resolvedAt, expiresAt } = entry.resolution
      if (expiresAt === undefined) continue
      entry.resolution = {
        ...entry.resolution,
        resolvedAt: resolvedAt - ms,
        expiresAt: expiresAt - ms,
      }
    }
    for (const absence of this.#absent.values()) absence.since -= ms
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
