import { type Clock, systemClock } from '../../concurrency/clock.ts'
import { MirrorCandidates } from './candidates.ts'
import { DEFAULT_LIMITS, type MirrorLimits, type MirrorOptions } from './options.ts'

/** What every kind of content is served with. */
export interface MirrorContext extends MirrorOptions {
  readonly clock: Clock
  readonly limits: MirrorLimits
  readonly candidates: MirrorCandidates
}

export function createContext(options: MirrorOptions): MirrorContext {
  const { clock = systemClock } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  return { ...options, clock, limits, candidates: new MirrorCandidates(options, clock, limits) }
}
