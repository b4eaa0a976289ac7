import { CONFIG_DEFAULTS } from '../../api/v1/config.ts'
import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import type { Config } from './config.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { registryEntries } from './entries.ts'
import type { Findings } from './findings.ts'
import { isLocalListen, parseListen } from './listen.ts'
import { detectRuntime, isSameSocket, parseAbsolutePath, parseSocketPath } from './socket.ts'
import type { Written } from './written.ts'

const HOUR_MS = 3_600_000

/** setTimeout runs at once what is more than 24.8 days (2^31 ms) away. */
const TIMER: DurationRange = { leastMs: 1, mostMs: 576 * HOUR_MS }
const KEEPING: DurationRange = { leastMs: 1, mostMs: 8760 * HOUR_MS }
const POLLING: DurationRange = { leastMs: 100, mostMs: TIMER.mostMs }

/** 0 is always inside. */
interface DurationRange {
  readonly leastMs: number
  readonly mostMs: number
}

/**
 * What holds when `written` is what the file says. Mistakes go to `findings`; the result is only
 * meant to be used when there are none.
 */
export function effectiveConfig(
  written: Written,
  file: string | undefined,
  socketExists: (path: string) => boolean,
  findings: Findings,
): Config {
  const defaults = CONFIG_DEFAULTS
  const duration = (path: string, text: string, range: DurationRange): number =>
    findings.parse(path, text, (value) => durationWithin(value, range)) ?? 0
  const { cache = {}, http = {} } = written

  const shim = findings.parse('shim', written.shim ?? defaults.shim, parseSocketPath) ?? ''
  const cri = findings.parse('cri', written.cri, parseSocketPath)
  if (cri !== undefined && isSameSocket(shim, cri)) {
    findings.problem('cri', 'the same socket as shim; name the socket that the runtime serves')
  }
  const image = findings.parse('image', written.image, parseAbsolutePath) ?? defaults.image
  const listen = http.listen ?? defaults.listen
  const address = findings.parse('http.listen', listen, parseListen)
  if (address !== undefined && !isLocalListen(address)) {
    findings.warning('http.listen', 'reachable from other machines, and nobody has to log in')
  }
  const timeoutMs = duration('timeout', written.timeout ?? defaults.timeout, TIMER)

  return {
    file,
    shim,
    cri: written.cri === undefined ? detectRuntime(socketExists) : cri,
    criExpected: written.shim !== undefined || written.cri !== undefined,
    force: written.force ?? defaults.force,
    debug: written.debug ?? defaults.debug,
    image,
    version: written.version,
    timeoutMs: timeoutMs === 0 ? parseDuration(defaults.timeout) : timeoutMs,
    reloadIntervalMs: duration(
      'reloadInterval',
      written.reloadInterval ?? defaults.reloadInterval,
      POLLING,
    ),
    cache: effectiveCache(cache, duration, findings),
    registries: registryEntries(written, findings),
    mirrorsOnly: [],
    realms: [],
    keychain: {
      dockerConfigs: [],
      pullSecrets: [],
      credentialProviders: undefined,
      helperTimeoutMs: 10_000,
    },
    verifyDigest: false,
    proxy: { http: undefined, https: undefined, no: undefined },
    pauseImage: undefined,
    http: { listen, token: undefined, tokenFile: undefined, tls: undefined, rateLimit: 0 },
    mirror: { enabled: false },
    pull: { byDigest: true },
    onResolveError: written.onResolveError ?? defaults.onResolveError,
  }
}

function effectiveCache(
  cache: NonNullable<Written['cache']>,
  duration: (path: string, text: string, range: DurationRange) => number,
  findings: Findings,
): Config['cache'] {
  const defaults = CONFIG_DEFAULTS.cache
  const size = cache.imageCacheSize ?? defaults.imageCacheSize
  if (size < 0) findings.warning('cache.imageCacheSize', `${size} is below 0; the cache is off`)
  return {
    imageCacheSize: Math.max(0, size),
    imageCacheTtlMs: duration(
      'cache.imageCacheTTL',
      cache.imageCacheTTL ?? defaults.imageCacheTTL,
      KEEPING,
    ),
    domainCacheTtlMs: duration(
      'cache.domainCacheTTL',
      cache.domainCacheTTL ?? defaults.domainCacheTTL,
      KEEPING,
    ),
    tagTtlMs: duration('cache.tagTTL', cache.tagTTL ?? defaults.tagTTL, KEEPING),
    statsLogIntervalMs: duration(
      'cache.statsLogInterval',
      cache.statsLogInterval ?? defaults.statsLogInterval,
      TIMER,
    ),
    disableStats: cache.disableStats ?? defaults.disableStats,
    negativeTtlMs: 10_000,
    staleIfErrorMs: 24 * HOUR_MS,
  }
}

function durationWithin(text: string, { leastMs, mostMs }: DurationRange): number {
  const ms = parseDuration(text)
  if (ms === 0 || (ms >= leastMs && ms <= mostMs)) return Math.round(ms)
  throw new ResolveError(
    'CONFIG_INVALID',
    `${quote(text)} is outside ${formatDuration(leastMs)} to ${formatDuration(mostMs)} (0 is allowed)`,
  )
}
