import type { Strategy } from './strategy.ts'

export interface PlainMapOptions {
  readonly size: number
  readonly ttlMs: number
  readonly versionAt: (tag: number, nowMs: number) => number
}

/** What is written in an afternoon: a Map, a TTL, the oldest goes when it is full; expired is gone. */
export function plainMap({ size, ttlMs, versionAt }: PlainMapOptions): Strategy {
  const map = new Map<number, { readonly atMs: number; readonly version: number }>()
  return {
    ask(_question, tag, now) {
      const known = map.get(tag)
      if (known !== undefined && now < known.atMs + ttlMs) {
        return { outcome: 'answered', version: known.version }
      }
      map.delete(tag)
      const version = versionAt(tag, now)
      map.set(tag, { atMs: now, version })
      const [oldest] = map.keys()
      if (map.size > size && oldest !== undefined) map.delete(oldest)
      return { outcome: 'GET', version }
    },
    restart: () => map.clear(),
  }
}
