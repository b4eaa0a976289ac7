import { formatPlatform, type Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { SharedCache } from './shared-cache.ts'
import type { Registries, ResolveOptions } from './types.ts'

/** What one caller asks, and on what terms. */
export interface Question {
  readonly reference: Reference
  readonly platform: Platform
  /** The caller named the platform. */
  readonly isPlatformAsked: boolean
  /** The caller's own, for the origin. */
  readonly credentials: Credentials | undefined
  /** As in ResolveOptions, as are the next two. */
  readonly unauthenticated: boolean
  readonly all: boolean
  readonly urgent: boolean
  /** Of the cache. */
  readonly key: string
  /** How old an answer of another node may be: `kept` the TTL of tags, `fresh` the freshness of a pull, `none` no such answer; undefined: nor is one told to them. */
  readonly sharing: 'kept' | 'fresh' | 'none' | undefined
  /** As in ResolveOptions, both of them. */
  readonly maxAgeMs: number | undefined
  readonly direct: boolean
}

export interface QuestionOptions {
  /** Called for each resolution, so that a new configuration takes effect at once. */
  readonly registries: () => Registries
  /** The platform meant when a caller names none. */
  readonly platform: Platform
  /** Tells callers with different credentials apart without keeping these. */
  readonly fingerprint: (credentials: Credentials | undefined) => string
  /** Whether the keychain may have credentials for registries that are not configured. Default: yes. */
  readonly keepsForOthers?: () => boolean
}

export function questionOf(
  reference: Reference,
  options: ResolveOptions,
  { fingerprint, keepsForOthers, platform: own, registries }: QuestionOptions,
): Question {
  const { all = false, credentials, platform = own } = options
  const { refresh = false, shared = false, unauthenticated = false, urgent = false } = options
  const caller = fingerprint(credentials)
  // Where the keychain is for configured registries alone, all callers get the same answers.
  const isApart = unauthenticated && (keepsForOthers?.() ?? true)
  const key = resolutionKey(
    registries().generation,
    formatReference(reference),
    formatPlatform(platform),
    isApart ? `${caller} unauthenticated` : caller,
  )
  const isPlatformAsked = options.platform !== undefined
  const age = !refresh ? 'kept' : shared ? 'fresh' : 'none'
  const sharing = credentials === undefined && !isApart && !all ? age : undefined
  const { direct = false, maxAgeMs } = options
  // Each by its name: on Node 20 a cached resolve() takes seven times as long where some of them are spread.
  return {
    reference,
    platform,
    isPlatformAsked,
    credentials,
    unauthenticated,
    all,
    urgent,
    key,
    sharing,
    maxAgeMs,
    direct,
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

/** The reference in such a key. */
export function referenceOf(key: string): string {
  return key.split(' ', 2)[1] ?? ''
}
