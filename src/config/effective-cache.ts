import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import type { Config } from './config.ts'
import { KEEPING, readDuration, TIMER } from './duration-range.ts'
import type { Findings } from './findings.ts'
import type { Written } from './written.ts'

/** What holds of `cache:`. */
export function effectiveCache(
  written: NonNullable<Written['cache']>,
  findings: Findings,
): Config['cache'] {
  const cache = { ...CONFIG_DEFAULTS.cache, ...written }
  const size = cache.imageCacheSize
  if (size < 0) findings.warning('cache.imageCacheSize', `${size} is below 0; the cache is off`)
  const duration = (name: keyof typeof cache & string, range: typeof TIMER): number =>
    readDuration(`cache.${name}`, String(cache[name]), range, findings)
  return {
    imageCacheSize: Math.max(0, size),
    imageCacheTtlMs: duration('imageCacheTTL', KEEPING),
    domainCacheTtlMs: duration('domainCacheTTL', KEEPING),
    tagTtlMs: duration('tagTTL', KEEPING),
    statsLogIntervalMs: duration('statsLogInterval', TIMER),
    disableStats: cache.disableStats,
    negativeTtlMs: duration('negativeTTL', KEEPING),
    staleIfErrorMs: duration('staleIfError', KEEPING),
  }
}
