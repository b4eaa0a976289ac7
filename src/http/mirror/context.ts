import { type Clock, systemClock } from '../../concurrency/clock.ts'
import { MirrorCandidates } from './candidates.ts'
import { DEFAULT_LIMITS, type MirrorLimits, type MirrorOptions } from './options.ts'
import { BlobSizes } from './part.ts'

/** What every kind of content is served with. */
export interface MirrorContext extends MirrorOptions {
  readonly clock: Clock
  readonly limits: MirrorLimits
  readonly candidates: MirrorCandidates
  readonly sizes: BlobSizes
}

export function createContext(options: MirrorOptions): MirrorContext {
  const { clock = systemClock } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const candidates = new MirrorCandidates(options, clock, limits)
  return { ...options, clock, limits, candidates, sizes: new BlobSizes() }
}
