import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import { quote } from '../reference/quote.ts'
import {
  detectRuntime,
  isLocalListen,
  isSameSocket,
  parseAbsolutePath,
  parseListen,
  parseProxy,
  parseRealm,
  parseSecretPath,
  parseSocketPath,
  parseUpstream,
} from './addresses.ts'
import type {
  Config,
  ConfigMapConfig,
  Environment,
  HttpConfig,
  KeychainConfig,
  ProxyConfig,
} from './config.ts'
import { type Diagnostics, refusal } from './diagnostics.ts'
import {
  ADMITTING,
  CHECKING,
  HELPER,
  KEEPING,
  POLLING,
  PROBING,
  parseDuration,
  readDuration,
  TIMER,
} from './duration.ts'
import { parseToken, registryEntries } from './entries.ts'
import { resolverEntries } from './resolvers.ts'
import type { DecodedConfig } from './schema.ts'
import { effectiveShared } from './shared-store.ts'

/** What a configuration depends on beside what is written in it. */
export interface Surroundings {
  readonly file: string | undefined
  readonly socketExists: (path: string) => boolean
  readonly env: Environment
}

/**
 * What holds when `decoded` is what the file says. Mistakes go to `diagnostics`; the result is only
 * meant to be used when there are none.
 */
export function effectiveConfig(
  decoded: DecodedConfig,
  { file, socketExists, env }: Surroundings,
  diagnostics: Diagnostics,
): Config {
  const defaults = CONFIG_DEFAULTS
  const shim = diagnostics.parse('shim', decoded.shim ?? defaults.shim, parseSocketPath) ?? ''
  const cri = diagnostics.parse('cri', decoded.cri, parseSocketPath)
  if (cri !== undefined && isSameSocket(shim, cri)) {
    diagnostics.problem('cri', 'the same socket as shim; name the socket that the runtime serves')
  }
  const timeout = decoded.timeout ?? defaults.timeout
  const timeoutMs = readDuration('timeout', timeout, TIMER, diagnostics)
  const reload = decoded.reloadInterval ?? defaults.reloadInterval
  const budget = decoded.probeBudget ?? defaults.probeBudget
  const probeBudgetMs = readDuration('probeBudget', budget, PROBING, diagnostics)
  const hedgeDelay = decoded.hedgeDelay ?? defaults.hedgeDelay
  const freshness = decoded.pull?.freshness ?? defaults.pullFreshness

  return {
    file,
    shim,
    cri: decoded.cri === undefined ? detectRuntime(socketExists) : cri,
    criExpected: decoded.shim !== undefined || decoded.cri !== undefined,
    force: decoded.force ?? defaults.force,
    debug: decoded.debug ?? defaults.debug,
    image: diagnostics.parse('image', decoded.image, parseAbsolutePath) ?? defaults.image,
    version: decoded.version,
    timeoutMs: timeoutMs === 0 ? parseDuration(defaults.timeout) : timeoutMs,
    reloadIntervalMs: readDuration('reloadInterval', reload, POLLING, diagnostics),
    probeBudgetMs: probeBudgetMs === 0 ? parseDuration(defaults.probeBudget) : probeBudgetMs,
    hedgeDelayMs: readDuration('hedgeDelay', hedgeDelay, PROBING, diagnostics),
    cache: effectiveCache(decoded.cache ?? {}, diagnostics),
    registries: registryEntries(decoded, diagnostics),
    resolvers: resolverEntries(decoded, diagnostics),
    mirrorsOnly: diagnostics.parseList('mirrorsOnly', decoded.mirrorsOnly, parseUpstream),
    realms: diagnostics.parseList('realms', decoded.realms, parseRealm),
    hostsDir: diagnostics.parse('hostsDir', decoded.hostsDir, parseAbsolutePath),
    portoshim: diagnostics.parse('portoshim', decoded.portoshim, parseAbsolutePath),
    configMap: effectiveConfigMap(decoded.configMap, diagnostics),
    verifyDigest: decoded.verifyDigest ?? defaults.verifyDigest,
    keychain: effectiveKeychain(decoded.keychain ?? {}, diagnostics),
    proxy: proxyConfig(decoded.proxy, env, diagnostics),
    pauseImage: undefined,
    http: effectiveHttp(decoded.http ?? {}, diagnostics),
    mirror: {
      enabled: decoded.mirror?.enabled ?? defaults.mirrorEnabled,
      blobs: decoded.mirror?.blobs ?? defaults.mirrorBlobs,
      blobsPerClient: decoded.mirror?.blobsPerClient ?? defaults.mirrorBlobsPerClient,
    },
    pull: {
      byDigest: decoded.pull?.byDigest ?? defaults.pullByDigest,
      skipUnchanged: decoded.pull?.skipUnchanged ?? defaults.pullSkipUnchanged,
      freshnessMs: readDuration('pull.freshness', freshness, KEEPING, diagnostics),
    },
    check: {
      intervalMs: readDuration(
        'check.interval',
        decoded.check?.interval ?? defaults.checkInterval,
        CHECKING,
        diagnostics,
      ),
    },
    admission: effectiveAdmission(decoded, diagnostics),
    onResolveError: decoded.onResolveError ?? defaults.onResolveError,
  }
}

/** What holds of `admission:`. */
function effectiveAdmission(
  { admission = {}, http }: DecodedConfig,
  diagnostics: Diagnostics,
): Config['admission'] {
  const { admissionBudget, admissionEnabled, admissionOnFailure } = CONFIG_DEFAULTS
  const { budget = admissionBudget, enabled = admissionEnabled } = admission
  const budgetMs = readDuration('admission.budget', budget, ADMITTING, diagnostics)
  if (enabled && http?.tls === undefined) {
    const why = 'the API server of Kubernetes asks by https alone: set http.tls'
    diagnostics.warning('admission.enabled', `${why}, unless a proxy before this service has it`)
  }
  return {
    enabled,
    budgetMs: budgetMs === 0 ? parseDuration(admissionBudget) : budgetMs,
    onFailure: admission.onFailure ?? admissionOnFailure,
  }
}

/** What holds of `cache:`. */
function effectiveCache(
  decoded: NonNullable<DecodedConfig['cache']>,
  diagnostics: Diagnostics,
): Config['cache'] {
  const cache = { ...CONFIG_DEFAULTS.cache, ...decoded }
  const shared = effectiveShared(decoded.shared, diagnostics)
  const size = cache.imageCacheSize
  if (size < 0) diagnostics.warning('cache.imageCacheSize', `${size} is below 0; the cache is off`)
  const duration = (name: keyof typeof CONFIG_DEFAULTS.cache, range: typeof TIMER): number =>
    readDuration(`cache.${name}`, String(cache[name]), range, diagnostics)
  return {
    imageCacheSize: Math.max(0, size),
    imageCacheTtlMs: duration('imageCacheTTL', KEEPING),
    domainCacheTtlMs: duration('domainCacheTTL', KEEPING),
    tagTtlMs: duration('tagTTL', KEEPING),
    statsLogIntervalMs: duration('statsLogInterval', TIMER),
    disableStats: cache.disableStats,
    negativeTtlMs: duration('negativeTTL', KEEPING),
    staleIfErrorMs: duration('staleIfError', KEEPING),
    ...(shared !== undefined && { shared }),
  }
}

/** DNS names, as Kubernetes has them for namespaces and ConfigMaps, and a key of its data. */
const NAME = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)$/
const KEY = /^[\w.-]{1,253}$/

/** What holds of `configMap:`. */
function effectiveConfigMap(
  decoded: DecodedConfig['configMap'],
  diagnostics: Diagnostics,
): ConfigMapConfig | undefined {
  if (decoded === undefined) return undefined
  const { name = CONFIG_DEFAULTS.configMap.name, key = CONFIG_DEFAULTS.configMap.key } = decoded
  const place = diagnostics.parse('configMap.name', name, parseName)
  const field = diagnostics.parse('configMap.key', key, parseKey)
  const kubeconfig = diagnostics.parse('configMap.kubeconfig', decoded.kubeconfig, parseSecretPath)
  return place === undefined || field === undefined
    ? undefined
    : { ...place, key: field, kubeconfig }
}

function parseName(text: string): Pick<ConfigMapConfig, 'namespace' | 'name'> {
  const [, namespace, name] = NAME.exec(text) ?? []
  if (namespace !== undefined && name !== undefined) return { namespace, name }
  throw refusal(`${quote(text)} is not NAMESPACE/NAME, as in ${CONFIG_DEFAULTS.configMap.name}`)
}

function parseKey(text: string): string {
  if (KEY.test(text)) return text
  throw refusal(`${quote(text)} is no key of a ConfigMap, as ${CONFIG_DEFAULTS.configMap.key} is`)
}

/** What holds of `http:`. An address that other machines can reach is refused without a token. */
function effectiveHttp(
  decoded: NonNullable<DecodedConfig['http']>,
  diagnostics: Diagnostics,
): HttpConfig {
  const listen = decoded.listen ?? CONFIG_DEFAULTS.listen
  const address = diagnostics.parse('http.listen', listen, parseListen)
  const token = diagnostics.parse('http.token', decoded.token, parseToken)
  const tokenFile = diagnostics.parse('http.tokenFile', decoded.tokenFile, parseSecretPath)
  const certFile = diagnostics.parse('http.tls.cert', decoded.tls?.cert, parseAbsolutePath)
  const keyFile = diagnostics.parse('http.tls.key', decoded.tls?.key, parseSecretPath)
  if (decoded.token !== undefined && decoded.tokenFile !== undefined) {
    diagnostics.problem('http.tokenFile', 'the token is given twice, as token too: keep one')
  }
  const events = decoded.events ?? CONFIG_DEFAULTS.events
  if (events && decoded.token === undefined && decoded.tokenFile === undefined) {
    diagnostics.problem(
      'http.events',
      'notifications are taken with the token alone: set http.token or http.tokenFile',
    )
  }
  if (address !== undefined && !isLocalListen(address)) {
    if (decoded.token === undefined && decoded.tokenFile === undefined) {
      diagnostics.problem(
        'http.listen',
        `other machines can reach ${listen} without a token: set http.token or http.tokenFile, or listen on ${CONFIG_DEFAULTS.listen}`,
      )
    } else if (decoded.tls === undefined) {
      diagnostics.warning('http.listen', 'the token crosses the network in the clear: set http.tls')
    }
  }
  return {
    listen,
    token,
    tokenFile,
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    rateLimit: decoded.rateLimit ?? CONFIG_DEFAULTS.rateLimit,
    events,
  }
}

/** What holds of `keychain:`. */
function effectiveKeychain(
  decoded: NonNullable<DecodedConfig['keychain']>,
  diagnostics: Diagnostics,
): KeychainConfig {
  const place = 'keychain.credentialProviders'
  const providers = decoded.credentialProviders
  const config = diagnostics.parse(`${place}.config`, providers?.config, parseAbsolutePath)
  const binDir = diagnostics.parse(`${place}.binDir`, providers?.binDir, parseAbsolutePath)
  const { helperTimeout } = CONFIG_DEFAULTS
  const limit = decoded.helperTimeout ?? helperTimeout
  const limitMs = readDuration('keychain.helperTimeout', limit, HELPER, diagnostics)
  return {
    dockerConfigs: diagnostics.parseList(
      'keychain.dockerConfigs',
      decoded.dockerConfigs,
      parseSecretPath,
    ),
    pullSecrets: diagnostics.parseList(
      'keychain.pullSecrets',
      decoded.pullSecrets,
      parseSecretPath,
    ),
    credentialProviders:
      config === undefined || binDir === undefined ? undefined : { config, binDir },
    helperTimeoutMs: limitMs === 0 ? parseDuration(helperTimeout) : limitMs,
  }
}

/**
 * The proxies of `proxy:`, or where there is no such section, of the environment: HTTP_PROXY,
 * HTTPS_PROXY and NO_PROXY, then their lower-case names, as in containerd. An empty section is how
 * a file says "none".
 */
function proxyConfig(
  decoded: DecodedConfig['proxy'],
  env: Environment,
  diagnostics: Diagnostics,
): ProxyConfig {
  if (decoded === undefined) return fromEnvironment(env, diagnostics)
  return {
    http: diagnostics.parse('proxy.http', decoded.http, parseProxy),
    https: diagnostics.parse('proxy.https', decoded.https, parseProxy),
    no: decoded.no,
  }
}

/** The environment is not written for this service: what is wrong there is a warning. */
function fromEnvironment(env: Environment, diagnostics: Diagnostics): ProxyConfig {
  const proxyOf = (name: string): string | undefined => {
    const text = variable(env, name)
    try {
      return text === undefined ? undefined : parseProxy(text)
    } catch (thrown) {
      diagnostics.warning(
        `${name} of the environment`,
        thrown instanceof Error ? thrown.message : '',
      )
      return undefined
    }
  }
  return {
    http: proxyOf('HTTP_PROXY'),
    https: proxyOf('HTTPS_PROXY'),
    no: variable(env, 'NO_PROXY'),
  }
}

function variable(env: Environment, name: string): string | undefined {
  return env[name] || env[name.toLowerCase()] || undefined
}
