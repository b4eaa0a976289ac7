import type { Availability } from '../../api/v1/check.ts'
import { type Clock, pause } from '../concurrency/clock.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import { DEFAULT_WAIT_MS, type ErrorCode, type ResolveError, toResolveError } from '../errors.ts'
import { choosePlatform, type Platform } from '../reference/platform.ts'
import type { Reference } from '../reference/reference.ts'
import { isPullable } from './candidates.ts'
import type { Candidate } from './types.ts'

/** A registry, and what is asked for there. */
export interface AskedPlace {
  /** Name of the entry, or the reference's domain for its origin. */
  readonly registry: string
  /** What is asked for there: `harbor.corp/hub/library/nginx:1.27`. */
  readonly reference: string
  /** The registry that the reference itself names. */
  readonly origin: boolean
  readonly configured: boolean
  /** It is spoken to by plain http. */
  readonly plainHttp: boolean
}

/** What one registry says of one reference. */
export interface ImagePlace extends AskedPlace {
  /** `unknown`: it did not answer, or not with yes or no. */
  readonly state: 'present' | 'absent' | 'denied' | 'unknown'
  /** What its tag points at; with `present`, unless a service elsewhere does not say it. */
  readonly digest?: string
  /** The platforms that it is for, where they were asked for: all, or those of them. */
  readonly platforms?: readonly string[]
  /** Another node of the fleet was told so, this many milliseconds ago. */
  readonly ageMs?: number
  /** With `denied` and `unknown`, and where the platforms could not be found out. */
  readonly error?: { readonly code: ErrorCode; readonly message: string }
}

export interface AvailabilityOptions {
  /** The digest of what a reference is at a candidate. @throws ResolveError */
  readonly head: (candidate: Candidate, reference: string) => Promise<string>
  /** The platforms that a digest is for, `os/architecture[/variant]`. @throws ResolveError */
  readonly platforms: (candidate: Candidate, digest: string) => Promise<readonly string[]>
  readonly clock: Clock
  /** The longest pause that a registry is given; one that wants a longer one is asked no more. */
  readonly maxPauseMs: number
  /** Ends waiting. */
  readonly signal: AbortSignal
}

export interface PlacesOptions {
  /** Also say whether it is there for these: a GET for each digest that is found. Default: for none. */
  readonly platforms?: readonly Platform[]
  /** What a place has said before, and is not asked again; undefined: nothing. */
  readonly known?: (place: AskedPlace) => ImagePlace | undefined
}

/** Times without any answer, with none in between, after which a registry is asked no more. */
const MAX_SILENCES = 8
/** Times in a row that it said 429, after the pause that it wanted. */
const MAX_REFUSALS = 3

/** What a registry has done instead of answering. */
interface HostState {
  silences: number
  refusals: number
  /** Of all refusals that counted. What was under way when one came counts with that one. */
  round: number
  /** Until when it wants a pause. */
  pausedUntil: number
  /** It was answered with 429: from then on it is asked one thing at a time. */
  isSlowed: boolean
  /** It is asked no more, for this reason. */
  givenUp?: ResolveError
}

/**
 * Asks places for one reference each, by HEAD. A registry that says 429 gets the pause that it wants, and
 * one thing at a time from then on; one that goes on saying it, or is silent, is asked no more.
 */
export class AvailabilityCheck {
  readonly #options: AvailabilityOptions
  /** By host. */
  readonly #hosts = new Map<string, HostState>()
  readonly #slowed = new Semaphore(1)
  /** By digest: an index is the same wherever it is. */
  readonly #platforms = new Map<string, Promise<readonly string[]>>()

  constructor(options: AvailabilityOptions) {
    this.#options = options
  }

  /** What each of the candidates says. Never rejects. */
  async places(
    reference: Reference,
    candidates: readonly Candidate[],
    options: PlacesOptions = {},
  ): Promise<readonly ImagePlace[]> {
    return Promise.all(
      candidates.filter(isPullable).map((candidate) => this.#place(reference, candidate, options)),
    )
  }

  async #place(
    { digest, tag = 'latest' }: Reference,
    candidate: Candidate,
    { known, platforms = [] }: PlacesOptions,
  ): Promise<ImagePlace> {
    const { configured, endpoint, origin, pullName, registry } = candidate
    const place = {
      registry,
      reference: digest === undefined ? `${pullName}:${tag}` : `${pullName}@${digest}`,
      origin,
      configured,
      plainHttp: endpoint.scheme === 'http',
    }
    const before = known?.(place)
    if (before !== undefined) return before
    const { head } = this.#options
    try {
      const found = await this.#ask(candidate, () => head(candidate, digest ?? tag))
      const present = { ...place, state: 'present', digest: found } as const
      return platforms.length > 0 ? await this.#withPlatforms(present, candidate) : present
    } catch (thrown) {
      return { ...place, ...failed(toResolveError(thrown)) }
    }
  }

  async #withPlatforms(
    place: ImagePlace & { readonly digest: string },
    candidate: Candidate,
  ): Promise<ImagePlace> {
    const { digest } = place
    try {
      const asked =
        this.#platforms.get(digest) ??
        this.#ask(candidate, () => this.#options.platforms(candidate, digest))
      this.#platforms.set(digest, asked)
      return { ...place, platforms: await asked }
    } catch (thrown) {
      // Another place may say it.
      this.#platforms.delete(digest)
      const { code, message } = toResolveError(thrown)
      return { ...place, error: { code, message } }
    }
  }

  /** @throws ResolveError as `work`, and what was thrown last where its registry is asked no more */
  async #ask<T>(candidate: Candidate, work: () => Promise<T>): Promise<T> {
    const { host } = candidate.endpoint
    const state = this.#stateOf(host)
    for (;;) {
      let round = 0
      const politely = async (): Promise<T> => {
        if (state.givenUp !== undefined) throw state.givenUp
        await this.#pause(state)
        round = state.round
        return work()
      }
      try {
        const { signal } = this.#options
        const answer = await (state.isSlowed
          ? this.#slowed.run(host, signal, politely)
          : politely())
        state.silences = 0
        state.refusals = 0
        return answer
      } catch (thrown) {
        const error = toResolveError(thrown)
        if (error === state.givenUp || !this.#isToBeRepeated(error, state, round)) throw error
      }
    }
  }

  #stateOf(host: string): HostState {
    const known = this.#hosts.get(host)
    if (known !== undefined) return known
    const state = { silences: 0, refusals: 0, round: 0, pausedUntil: 0, isSlowed: false }
    this.#hosts.set(host, state)
    return state
  }

  /**
   * Takes a failure to account.
   *
   * @param round in which the request was sent
   */
  #isToBeRepeated(error: ResolveError, state: HostState, round: number): boolean {
    const { clock, maxPauseMs } = this.#options
    if (error.code === 'TOOMANYREQUESTS') {
      const { retryAfterMs = DEFAULT_WAIT_MS } = error
      state.isSlowed = true
      if (round === state.round) {
        state.round += 1
        state.refusals += 1
      }
      state.pausedUntil = Math.max(state.pausedUntil, clock.now() + retryAfterMs)
      if (retryAfterMs <= maxPauseMs && state.refusals < MAX_REFUSALS) return true
      state.givenUp ??= error
    } else if (isSilence(error)) {
      state.silences += 1
      if (state.silences >= MAX_SILENCES) state.givenUp ??= error
    } else state.silences = 0
    return false
  }

  async #pause({ pausedUntil }: HostState): Promise<void> {
    const { clock, signal } = this.#options
    const ms = pausedUntil - clock.now()
    if (ms <= 0) return
    await pause(ms, clock, signal)
    signal.throwIfAborted()
  }
}

/** No answer of any kind; one with a status is an answer, and the next may be another. */
function isSilence({ code, status }: ResolveError): boolean {
  return status === undefined && (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED')
}

function failed({ code, message }: ResolveError): Pick<ImagePlace, 'state' | 'error'> {
  if (code === 'MANIFEST_UNKNOWN') return { state: 'absent' }
  const state = code === 'UNAUTHORIZED' || code === 'DENIED' ? 'denied' : 'unknown'
  return { state, error: { code, message } }
}

/** @param isOnNode whether this node has the image; undefined: not known */
export function availabilityOf(places: readonly ImagePlace[], isOnNode?: boolean): Availability {
  const present = places.filter(({ state }) => state === 'present')
  if (digestsOf(present).size > 1) return 'different'
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

function digestsOf(places: readonly ImagePlace[]): ReadonlySet<string> {
  return new Set(places.flatMap(({ digest }) => digest ?? []))
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
  const present = places.filter(({ digest, state }) => state === 'present' && digest !== undefined)
  const source = present.find(({ origin }) => origin) ?? present[0]
  if (source === undefined || digestsOf(present).size > 1) return []
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
  const [now] = digestsOf(places)
  return now === undefined || nodeDigests.includes(now) ? undefined : now
}

/** @returns whether one of these platforms is what a node of the wanted one would run */
export function hasPlatform(wanted: Platform, platforms: readonly string[]): boolean {
  const there = platforms.map((written) => {
    const [os = '', architecture = '', variant] = written.split('/')
    return { platform: { os, architecture, ...(variant !== undefined && { variant }) } }
  })
  return choosePlatform(wanted, there) !== undefined
}
