import { systemClock } from '../concurrency/clock.ts'
import { formatPlatform, hostPlatform } from '../reference/platform.ts'
import type { Reference } from '../reference/reference.ts'
import type { AnswerOptions } from '../resolver/answers.ts'
import { AvailabilityCheck, type ImagePlace, type PlacesOptions } from '../resolver/availability.ts'
import { isPullable, requestAt } from '../resolver/candidates.ts'
import type { Answer, Candidate } from '../resolver/types.ts'
import type { Core } from './core.ts'

/** What answers references, and looks for images. */
export interface OpenedResolver {
  /** How many references it should be asked for at a time. Default: what the command has for registries. */
  readonly atOnce?: number
  /** The registries that may have it, in the order of asking; none for what is no reference. */
  askedFor(input: string): readonly string[]
  answer(input: string, options?: Pick<AnswerOptions, 'platform' | 'node' | 'all'>): Promise<Answer>
  /** What every place says of it, by HEAD. Never rejects. */
  places(reference: Reference, options?: PlacesOptions): Promise<readonly ImagePlace[]>
  /** When the image of that digest was built (RFC 3339); undefined: no place says it, or none is asked. */
  created(reference: Reference, digest: string): Promise<string | undefined>
  /** What was sent so far, tokens and redirects included. */
  requests(): Readonly<Record<'HEAD' | 'GET' | 'POST', number>>
  close(): Promise<void>
}

interface CheckOptions {
  /** As in AvailabilityOptions. */
  readonly maxPauseMs: number
  /** Ends what is asked. */
  readonly signal: AbortSignal
}

/** Asks registries where images are, with the credentials that a pull would have. */
export function openAvailabilityCheck(
  core: Core,
  { maxPauseMs, signal }: CheckOptions,
): Pick<OpenedResolver, 'places' | 'created' | 'requests'> {
  const requests = { HEAD: 0, GET: 0, POST: 0 }
  const requestFor = async (candidate: Candidate, reference: string) => {
    const credentials = await core.resolver.credentials(candidate)
    return core.metered({
      ...requestAt(candidate, credentials),
      reference,
      signal,
      observe: ({ method }) => {
        requests[method] += 1
      },
    })
  }
  const check = new AvailabilityCheck({
    head: async (candidate, reference) => {
      const request = await requestFor(candidate, reference)
      return (await core.images()).anyDigest(request)
    },
    platforms: async (candidate, digest) => {
      const request = await requestFor(candidate, digest)
      return (await (await core.images()).platforms(request)).map(formatPlatform)
    },
    clock: systemClock,
    maxPauseMs,
    signal,
  })
  return {
    requests: () => requests,
    places: (reference, options) =>
      check.places(reference, core.resolver.candidates(reference), options),
    created: async (reference, digest) => {
      for (const candidate of core.resolver.candidates(reference).filter(isPullable)) {
        try {
          const request = await requestFor(candidate, digest)
          return await (await core.images()).created(request, hostPlatform())
        } catch {
          // Another place may have it; that none has is no failure of a check.
        }
      }
      return undefined
    },
  }
}
