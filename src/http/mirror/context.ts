import { type Clock, systemClock } from '../../concurrency/clock.ts'
import { Places } from './places.ts'
import { Search } from './search.ts'
import { DEFAULT_LIMITS, type MirrorLimits, type MirrorOptions } from './types.ts'

/** What every kind of content is served with. */
export interface MirrorContext extends MirrorOptions {
  readonly clock: Clock
  readonly limits: MirrorLimits
  readonly places: Places
  readonly search: Search
}

export function createContext(options: MirrorOptions): MirrorContext {
  const { clock = systemClock, health, resolver } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  return {
    ...options,
    clock,
    limits,
    places: new Places(resolver, clock.now),
    search: new Search({ health, resolver }, clock, limits),
  }
}
