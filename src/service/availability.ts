import { systemClock } from '../concurrency/clock.ts'
import { formatPlatform, hostPlatform } from '../reference/platform.ts'
import type { Reference } from '../reference/reference.ts'
import { AvailabilityCheck } from '../resolver/availability.ts'
import { isPullable, requestAt } from '../resolver/candidates.ts'
import type { Candidate } from '../resolver/types.ts'
import type { Core } from './core.ts'

interface CheckOptions {
  /** As in AvailabilityOptions. */
  readonly maxPauseMs: number
  /** Ends what is asked. */
  readonly signal: AbortSignal
}

/** What was sent, tokens and redirects included. */
export interface RequestCounts {
  HEAD: number
  GET: number
  POST: number
}

/** Asks registries where images are, with the credentials that a pull would have. */
export function openAvailabilityCheck(core: Core, { maxPauseMs, signal }: CheckOptions) {
  const requests: RequestCounts = { HEAD: 0, GET: 0, POST: 0 }
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
      const images = await core.images()
      // Of artifacts too it is known whether they are there.
      const found = await images.head({ ...request, accept: '*/*' })
      if (!('bytes' in found) && found.digest !== undefined) return found.digest
      return (await images.digest(request)).digest
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
    places: (reference: Reference, options?: Parameters<typeof check.places>[2]) =>
      check.places(reference, core.resolver.candidates(reference), options),
    /** When an image was built, at the first place that says it; undefined: none does. */
    created: async (reference: Reference, digest: string): Promise<string | undefined> => {
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
