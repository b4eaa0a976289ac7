import { dump } from 'js-yaml'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Config } from './config.ts'
import { formatDuration } from './duration.ts'

/** Stands for user and password alike: some registries take a token as the user. */
const HIDDEN = '***:***'

/**
 * The effective configuration as a file that says everything, in the order of the reference. It
 * loads again to the same configuration, but for the secrets, which are hidden.
 */
export function printConfig(config: Config): string {
  const offline = config.registries.find((entry) => entry.offline)
  const { cache } = config
  const fields = {
    shim: config.shim,
    ...(config.cri === undefined ? {} : { cri: config.cri }),
    ...(offline === undefined ? {} : offlineFields(offline)),
    force: config.force,
    debug: config.debug,
    image: config.image,
    ...(config.version === undefined ? {} : { version: config.version }),
    timeout: formatDuration(config.timeoutMs),
    reloadInterval: formatDuration(config.reloadIntervalMs),
    cache: {
      imageCacheSize: cache.imageCacheSize,
      imageCacheTTL: formatDuration(cache.imageCacheTtlMs),
      domainCacheTTL: formatDuration(cache.domainCacheTtlMs),
      statsLogInterval: formatDuration(cache.statsLogIntervalMs),
      disableStats: cache.disableStats,
      tagTTL: formatDuration(cache.tagTtlMs),
    },
    registries: config.registries.filter((entry) => !entry.offline).map(listedFields),
    http: { listen: config.http.listen },
    onResolveError: config.onResolveError,
  }
  return dump(fields, { lineWidth: -1, noRefs: true })
}

function offlineFields(entry: RegistryEntry): object {
  return { ...addressFields(entry), offlinePriority: entry.priority }
}

function listedFields(entry: RegistryEntry): object {
  return {
    ...addressFields(entry),
    priority: entry.priority,
    ...(entry.upstreams === undefined ? {} : { upstreams: entry.upstreams }),
  }
}

function addressFields({ endpoint, credentials }: RegistryEntry): object {
  const path = endpoint.prefix === '' ? '' : `/${endpoint.prefix}`
  return {
    address: `${endpoint.scheme}://${endpoint.host}${path}`,
    ...(credentials === undefined ? {} : { auth: HIDDEN }),
  }
}
