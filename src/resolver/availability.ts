import { type ErrorCode, type ResolveError, toResolveError } from '../errors.ts'
import type { Reference } from '../reference/reference.ts'
import { isPullable } from './candidates.ts'
import type { Candidate } from './types.ts'

/** What one registry says of one reference. */
export interface ImagePlace {
  /** Name of the entry, or the reference's domain for its origin. */
  readonly registry: string
  /** What is asked for there: `harbor.corp/hub/library/nginx:1.27`. */
  readonly reference: string
  /** The registry that the reference itself names. */
  readonly origin: boolean
  readonly configured: boolean
  /** `unknown`: it did not answer, or not with yes or no. */
  readonly state: 'present' | 'absent' | 'denied' | 'unknown'
  /** What its tag points at; with `present`. */
  readonly digest?: string
  /** With `denied` and `unknown`. */
  readonly error?: { readonly code: ErrorCode; readonly message: string }
  /** It is spoken to by plain http. */
  readonly plainHttp: boolean
}

/** Where an image can be pulled from, all places taken together. */
export const AVAILABILITIES = [
  /** At every place. */
  'everywhere',
  /** At its origin and at some configured registries, not at all. */
  'partly',
  /** At configured registries, not at its origin. */
  'private-only',
  /** At its origin, at no configured registry. */
  'origin-only',
  /** At no registry; this node has it, and another one would not get it. */
  'node-only',
  /** At no registry: each said so. */
  'gone',
  /** At no registry that may be asked with the credentials that there are. */
  'denied',
  /** A tag that points at different images at different places. */
  'different',
  /** A registry did not answer, and what the others say is not enough. */
  'unknown',
] as const
export type Availability = (typeof AVAILABILITIES)[number]

export interface AskOptions {
  /** The digest of what a reference is at a candidate. @throws ResolveError */
  readonly head: (candidate: Candidate, reference: string) => Promise<string>
}

/**
 * Asks places for one reference each, by HEAD, and no registry again in a run that has said 429: it gets
 * the pause that it wants.
 */
export class AvailabilityCheck {
  readonly #head: AskOptions['head']
  /** By host. */
  readonly #parked = new Map<string, ResolveError>()

  constructor({ head }: AskOptions) {
    this.#head = head
  }

  /** What each of the candidates says. Never rejects. */
  async places(reference: Reference, candidates: readonly Candidate[]): Promise<ImagePlace[]> {
    return Promise.all(
      candidates.filter(isPullable).map((candidate) => this.#place(reference, candidate)),
    )
  }

  async #place({ digest, tag = 'latest' }: Reference, candidate: Candidate): Promise<ImagePlace> {
    const { configured, endpoint, origin, pullName, registry } = candidate
    const place = {
      registry,
      reference: digest === undefined ? `${pullName}:${tag}` : `${pullName}@${digest}`,
      origin,
      configured,
      plainHttp: endpoint.scheme === 'http',
    }
    const parked = this.#parked.get(endpoint.host)
    try {
      if (parked !== undefined) throw parked
      return { ...place, state: 'present', digest: await this.#head(candidate, digest ?? tag) }
    } catch (thrown) {
      const error = toResolveError(thrown)
      if (error.code === 'TOOMANYREQUESTS') this.#parked.set(endpoint.host, error)
      return { ...place, ...failed(error) }
    }
  }
}

function failed({ code, message }: ResolveError): Pick<ImagePlace, 'state' | 'error'> {
  if (code === 'MANIFEST_UNKNOWN') return { state: 'absent' }
  const state = code === 'UNAUTHORIZED' || code === 'DENIED' ? 'denied' : 'unknown'
  return { state, error: { code, message } }
}

/** @param isOnNode whether this node has the image; undefined: not known */
export function availabilityOf(places: readonly ImagePlace[], isOnNode?: boolean): Availability {
  const present = places.filter(({ state }) => state === 'present')
  if (new Set(present.map(({ digest }) => digest)).size > 1) return 'different'
  if (places.some(({ state }) => state === 'unknown')) return 'unknown'
  if (present.length === 0) {
    if (places.some(({ state }) => state === 'denied')) return 'denied'
    return isOnNode === true ? 'node-only' : 'gone'
  }
  const isAll = present.length === places.length
  if (isAll && places.some(({ configured }) => configured)) return 'everywhere'
  const origin = places.find((place) => place.origin)
  if (origin?.state === 'present') {
    return present.some((place) => !place.origin) ? 'partly' : 'origin-only'
  }
  return origin === undefined ? 'partly' : 'private-only'
}

/** A copy that a configured registry lacks, and where it is to be had. */
export interface MissingCopy {
  readonly source: ImagePlace
  readonly target: ImagePlace
}

/**
 * What configured registries lack of an image that another place has. By digest where the places do not
 * agree on a tag there is nothing to be copied: which one is meant is for a person to say.
 */
export function missingCopies(places: readonly ImagePlace[]): readonly MissingCopy[] {
  const present = places.filter(({ state }) => state === 'present')
  const source = present.find(({ origin }) => origin) ?? present[0]
  if (source === undefined || new Set(present.map(({ digest }) => digest)).size > 1) return []
  return places
    .filter(({ configured, origin, state }) => configured && !origin && state === 'absent')
    .map((target) => ({ source, target }))
}

/** @returns for an image that the node has by another digest than its tag points at now: that one */
export function movedTo(
  reference: Reference,
  places: readonly ImagePlace[],
  nodeDigests: readonly string[],
): string | undefined {
  if (reference.digest !== undefined || nodeDigests.length === 0) return undefined
  const now = places.find(({ state }) => state === 'present')?.digest
  return now === undefined || nodeDigests.includes(now) ? undefined : now
}
