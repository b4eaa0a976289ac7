import type { Clock } from '../concurrency/clock.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import type { WalkRecord } from './record.ts'
import type { Candidate } from './types.ts'

export interface WalkLimits {
  /**
   * A configured private registry is asked beside the one before it, by HEAD, when that is silent for this
   * long, in milliseconds; absent or 0: never.
   */
  readonly hedgeDelayMs?: number
  /** How long a candidate may be silent before the next one is asked in its place, in milliseconds. */
  readonly probeBudgetMs: number
}

/**
 * @param ticket hears when this has to wait: in line, where many ask the candidate's registry, or for credentials
 * @param promoted present for a hedge, which waits for it before it asks for more than a HEAD: the
 * candidates before it have failed or are late
 */
export type Ask<T> = (
  candidate: Candidate,
  signal: AbortSignal,
  ticket: Ticket,
  promoted?: () => Promise<void>,
) => Promise<T>

/**
 * What has to be settled before a candidate may be asked; undefined: nothing. It rejects with a
 * ResolveError for one that may not be asked at all, and has to settle by itself.
 */
export type Gate = (candidate: Candidate) => Promise<unknown> | undefined

export interface WalkOptions<T> {
  /** For error texts: what is looked for. */
  readonly what: string
  readonly limits: WalkLimits
  /** Of these candidates, and maybe others; what becomes of them is written there. */
  readonly record: WalkRecord<T>
  readonly gate?: Gate
  readonly clock: Clock
  readonly signal: AbortSignal
}
