import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import type { Config } from './config.ts'
import { parseDuration } from './duration.ts'
import { POLLING, PROBING, readDuration, TIMER } from './duration-range.ts'
import { effectiveCache } from './effective-cache.ts'
import { effectiveConfigMap } from './effective-config-map.ts'
import { effectiveHttp } from './effective-http.ts'
import { effectiveKeychain } from './effective-keychain.ts'
import { effectiveMirror } from './effective-mirror.ts'
import { registryEntries } from './entries.ts'
import type { Findings } from './findings.ts'
import { type Environment, proxyConfig } from './proxy.ts'
import { parseRealm } from './realm.ts'
import { detectRuntime, isSameSocket, parseAbsolutePath, parseSocketPath } from './socket.ts'
import { parseUpstream } from './upstream.ts'
import type { Written } from './written.ts'

/** What a configuration depends on beside what is written in it. */
export interface Surroundings {
  readonly file: string | undefined
  readonly socketExists: (path: string) => boolean
  readonly env: Environment
}

/**
 * What holds when `written` is what the file says. Mistakes go to `findings`; the result is only
 * meant to be used when there are none.
 */
export function effectiveConfig(
  written: Written,
  { file, socketExists, env }: Surroundings,
  findings: Findings,
): Config {
  const defaults = CONFIG_DEFAULTS
  const shim = findings.parse('shim', written.shim ?? defaults.shim, parseSocketPath) ?? ''
  const cri = findings.parse('cri', written.cri, parseSocketPath)
  if (cri !== undefined && isSameSocket(shim, cri)) {
    findings.problem('cri', 'the same socket as shim; name the socket that the runtime serves')
  }
  const timeout = written.timeout ?? defaults.timeout
  const timeoutMs = readDuration('timeout', timeout, TIMER, findings)
  const reload = written.reloadInterval ?? defaults.reloadInterval
  const budget = written.probeBudget ?? defaults.probeBudget
  const probeBudgetMs = readDuration('probeBudget', budget, PROBING, findings)
  const hedgeDelay = written.hedgeDelay ?? defaults.hedgeDelay

  return {
    file,
    shim,
    cri: written.cri === undefined ? detectRuntime(socketExists) : cri,
    criExpected: written.shim !== undefined || written.cri !== undefined,
    force: written.force ?? defaults.force,
    debug: written.debug ?? defaults.debug,
    image: findings.parse('image', written.image, parseAbsolutePath) ?? defaults.image,
    version: written.version,
    timeoutMs: timeoutMs === 0 ? parseDuration(defaults.timeout) : timeoutMs,
    reloadIntervalMs: readDuration('reloadInterval', reload, POLLING, findings),
    probeBudgetMs: probeBudgetMs === 0 ? parseDuration(defaults.probeBudget) : probeBudgetMs,
    hedgeDelayMs: readDuration('hedgeDelay', hedgeDelay, PROBING, findings),
    cache: effectiveCache(written.cache ?? {}, findings),
    registries: registryEntries(written, findings),
    mirrorsOnly: findings.parseList('mirrorsOnly', written.mirrorsOnly, parseUpstream),
    realms: findings.parseList('realms', written.realms, parseRealm),
    hostsDir: findings.parse('hostsDir', written.hostsDir, parseAbsolutePath),
    portoshim: findings.parse('portoshim', written.portoshim, parseAbsolutePath),
    configMap: effectiveConfigMap(written.configMap, findings),
    verifyDigest: written.verifyDigest ?? defaults.verifyDigest,
    keychain: effectiveKeychain(written.keychain ?? {}, findings),
    proxy: proxyConfig(written.proxy, env, findings),
    pauseImage: undefined,
    http: effectiveHttp(written.http ?? {}, findings),
    mirror: effectiveMirror(written.mirror ?? {}, findings),
    pull: { byDigest: written.pull?.byDigest ?? defaults.pullByDigest },
    onResolveError: written.onResolveError ?? defaults.onResolveError,
  }
}
