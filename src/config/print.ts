import { dump } from 'js-yaml'
import { endpointUrl } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type {
  Config,
  HttpConfig,
  KeychainConfig,
  ProxyConfig,
  ResolverEntry,
  SharedStoreConfig,
} from './config.ts'
import { formatDuration } from './duration.ts'

/** Stands for users too: some registries take a token as the user. */
const HIDDEN = '***'

/**
 * The effective configuration as a file that says everything, in the order of the reference. It
 * loads again to the same configuration, but for the secrets, which are hidden. What came from
 * `hostsDir` and `portoshim` follows as comments.
 */
export function printConfig(config: Config): string {
  const offline = config.registries.find((entry) => entry.offline)
  const listed = config.registries.filter((entry) => !entry.offline && entry.source === undefined)
  const { cache } = config
  const fields = {
    shim: config.shim,
    cri: config.cri,
    ...(offline === undefined ? {} : offlineFields(offline)),
    force: config.force,
    debug: config.debug,
    image: config.image,
    version: config.version,
    timeout: formatDuration(config.timeoutMs),
    reloadInterval: formatDuration(config.reloadIntervalMs),
    probeBudget: formatDuration(config.probeBudgetMs),
    hedgeDelay: formatDuration(config.hedgeDelayMs),
    cache: {
      imageCacheSize: cache.imageCacheSize,
      imageCacheTTL: formatDuration(cache.imageCacheTtlMs),
      domainCacheTTL: formatDuration(cache.domainCacheTtlMs),
      statsLogInterval: formatDuration(cache.statsLogIntervalMs),
      disableStats: cache.disableStats,
      tagTTL: formatDuration(cache.tagTtlMs),
      negativeTTL: formatDuration(cache.negativeTtlMs),
      staleIfError: formatDuration(cache.staleIfErrorMs),
      shared: sharedFields(cache.shared),
    },
    registries: listed.map(listedFields),
    resolvers: config.resolvers.map(resolverFields),
    mirrorsOnly: config.mirrorsOnly,
    realms: config.realms,
    hostsDir: config.hostsDir,
    portoshim: config.portoshim,
    configMap: configMapFields(config.configMap),
    verifyDigest: config.verifyDigest,
    keychain: keychainFields(config.keychain),
    proxy: proxyFields(config.proxy),
    http: httpFields(config.http),
    mirror: { ...config.mirror },
    pull: {
      byDigest: config.pull.byDigest,
      skipUnchanged: config.pull.skipUnchanged,
      freshness: formatDuration(config.pull.freshnessMs),
    },
    check: { interval: formatDuration(config.check.intervalMs) },
    admission: {
      enabled: config.admission.enabled,
      budget: formatDuration(config.admission.budgetMs),
      onFailure: config.admission.onFailure,
    },
    onResolveError: config.onResolveError,
  }
  return `${asYaml(fields)}${includesComment(config)}`
}

/** Fields without a value are left out. */
function asYaml(fields: object): string {
  return dump(fields, { lineWidth: -1, noRefs: true, skipInvalid: true })
}

function offlineFields({ endpoint, credentials, priority }: RegistryEntry): object {
  return {
    address: addressOf(endpoint),
    auth: credentials === undefined ? undefined : `${HIDDEN}:${HIDDEN}`,
    ...tlsFields(endpoint),
    offlinePriority: priority,
  }
}

function tlsFields({ tls = {} }: RegistryEntry['endpoint']): object {
  const { caFiles, certFile, keyFile, insecureSkipVerify } = tls
  return { ca: caFiles?.[0], cert: certFile, key: keyFile, insecureSkipVerify }
}

function listedFields(entry: RegistryEntry): object {
  const { endpoint, credentials, credentialFiles: files } = entry
  return {
    address: addressOf(endpoint),
    auth: credentials?.kind === 'basic' ? `${HIDDEN}:${HIDDEN}` : undefined,
    username: files?.username === undefined ? undefined : HIDDEN,
    passwordFile: files?.passwordFile,
    identityToken: credentials?.kind === 'identityToken' ? HIDDEN : undefined,
    tokenFile: files?.tokenFile,
    priority: entry.priority,
    upstreams: entry.upstreams,
    path: entry.path,
    capabilities: entry.capabilities,
    trusted: entry.trusted,
    ...tlsFields(endpoint),
  }
}

function sharedFields(shared: SharedStoreConfig | undefined): object | undefined {
  if (shared === undefined) return undefined
  const { keyFile, tls, username } = shared
  const files = { ca: tls.caFile, cert: tls.certFile, key: tls.keyFile }
  return {
    url: shared.url,
    key: keyFile === undefined ? undefined : `file:${keyFile}`,
    freshness: formatDuration(shared.freshnessMs),
    budget: formatDuration(shared.budgetMs),
    username: username === undefined ? undefined : HIDDEN,
    passwordFile: shared.passwordFile,
    sentinelPasswordFile: shared.sentinelPasswordFile,
    addresses: shared.addresses.length === 0 ? undefined : shared.addresses,
    tls: Object.values(files).every((file) => file === undefined) ? undefined : files,
  }
}

function resolverFields({ endpoint, tokenFile }: ResolverEntry): object {
  return { url: addressOf(endpoint), ca: endpoint.tls?.caFiles?.[0], tokenFile }
}

function addressOf(endpoint: RegistryEntry['endpoint']): string {
  const { prefix } = endpoint
  return `${endpointUrl(endpoint)}${prefix === '' ? '' : `/${prefix}`}`
}

function keychainFields(keychain: KeychainConfig): object {
  return {
    dockerConfigs: keychain.dockerConfigs,
    pullSecrets: keychain.pullSecrets,
    credentialProviders: keychain.credentialProviders,
    helperTimeout: formatDuration(keychain.helperTimeoutMs),
  }
}

function configMapFields(configMap: Config['configMap']): object | undefined {
  if (configMap === undefined) return undefined
  const { namespace, name, key, kubeconfig } = configMap
  return { name: `${namespace}/${name}`, key, kubeconfig }
}

function proxyFields({ http, https, no }: ProxyConfig): object {
  return {
    http: http === undefined ? undefined : hideProxySecrets(http),
    https: https === undefined ? undefined : hideProxySecrets(https),
    no,
  }
}

function httpFields({ events, listen, token, tokenFile, tls, rateLimit }: HttpConfig): object {
  return {
    listen,
    token: token === undefined ? undefined : HIDDEN,
    tokenFile,
    tls: tls === undefined ? undefined : { cert: tls.certFile, key: tls.keyFile },
    rateLimit,
    events,
  }
}

function includesComment({ registries, pauseImage }: Config): string {
  const lines = registries
    .filter((entry) => entry.source !== undefined)
    .map((entry) => {
      const { name, source, priority, upstreams = [] } = entry
      return `of ${source}: ${name}, priority ${priority}, for ${upstreams.join(', ') || 'every domain'}`
    })
  if (pauseImage !== undefined) lines.push(`of portoshim: the pause image ${pauseImage}`)
  return lines.map((line) => `# ${line}\n`).join('')
}

/** The URL of a proxy with `***` for its user and password. */
function hideProxySecrets(proxy: string): string {
  const url = new URL(proxy)
  if (url.username !== '') url.username = '***'
  if (url.password !== '') url.password = '***'
  return url.href.slice(0, -1)
}
