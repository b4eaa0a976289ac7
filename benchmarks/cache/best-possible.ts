import { FarthestFirst } from './farthest.ts'
import type { Strategy } from './strategy.ts'

export interface BestPossibleOptions {
  readonly size: number
  readonly ttlMs: number
  /** By question, the next one for the same tag. */
  readonly nextUse: Float64Array
  readonly versionAt: (tag: number, nowMs: number) => number
}

/** The same TTL and the same HEAD as ours, with the replacement of somebody who knows the future. */
export function bestPossible(options: BestPossibleOptions): Strategy {
  const { nextUse, size, ttlMs, versionAt } = options
  const kept = new FarthestFirst(size)
  const learned = new Map<number, { readonly atMs: number; readonly version: number }>()
  return {
    ask(question, tag, now) {
      const known = learned.get(tag)
      const isFresh = known !== undefined && now < known.atMs + ttlMs
      const current = versionAt(tag, now)
      if (!isFresh) learned.set(tag, { atMs: now, version: current })
      const gone = kept.use(tag, nextUse[question] ?? Number.POSITIVE_INFINITY)
      if (gone !== undefined) learned.delete(gone)
      if (isFresh) return { outcome: 'answered', version: known.version }
      const isSame = known?.version === current
      return { outcome: isSame ? 'HEAD' : 'GET', version: current }
    },
  }
}
