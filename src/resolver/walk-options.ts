import type { Turn } from '../registry/turn.ts'
import type { Clock } from './clock.ts'
import type { WalkRecord } from './record.ts'
import type { Candidate } from './types.ts'

export interface WalkLimits {
  /** The next candidate starts when this long nothing was heard. */
  readonly hedgeDelayMs: number
  /** How long a better candidate is still preferred while a worse one has answered. */
  readonly probeBudgetMs: number
}

/** @param turn hears when many ask the candidate's registry, so that this has to wait in line */
export type Ask<T> = (candidate: Candidate, signal: AbortSignal, turn: Turn) => Promise<T>

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
