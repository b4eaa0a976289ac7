import type { Config } from '../config/config.ts'
import { OWN_HOSTS_MARK } from '../config/own-hosts.ts'
import { endpointUrl } from '../registry/endpoint.ts'
import { canonicalDomain, isPublicRegistry } from '../registry/public-registries.ts'
import { ConfiguredRegistries } from '../registry/registries.ts'
import { upstreamPattern } from '../registry/upstream-pattern.ts'

/** A folder below containerd's `config_path`, with its hosts.toml. */
export interface HostsFolder {
  /** `docker.io`, `hub.corp_5000_`, `_default`. */
  readonly name: string
  readonly text: string
}

export interface HostsPlan {
  /** By name, `_default` last. */
  readonly folders: readonly HostsFolder[]
  /** What containerd cannot be told in this way, one line each. */
  readonly notes: readonly string[]
}

const DEFAULT = '_default'

/**
 * What containerd has to be told (its docs/hosts.md) to pull through our mirror end-point: a folder for
 * each domain that some registry serves, and one for all others where one serves everything.
 *
 * @param mirror where containerd reaches us: `http://127.0.0.1:9430`
 */
export function planHosts(
  { registries, mirrorsOnly }: Pick<Config, 'registries' | 'mirrorsOnly'>,
  mirror: string,
): HostsPlan {
  const known = new ConfiguredRegistries(registries, 0)
  const closed = mirrorsOnly.map(upstreamPattern)
  const named = registries.flatMap(({ endpoint, upstreams }) => {
    if (upstreams !== undefined) return upstreams.map(upstreamPattern)
    return isPublicRegistry(endpoint.host) ? [upstreamPattern(endpoint.host)] : []
  })
  const patterns = [...named, ...closed]
  const domains = patterns.flatMap((each) => (each.subdomains ? [] : each.domain))
  const isForAll = registries.some(
    ({ endpoint, upstreams }) => upstreams === undefined && !isPublicRegistry(endpoint.host),
  )
  const folders = [...new Set(domains)].sort().map((domain) => {
    // What is not to come from its origin must not be asked for there by containerd either.
    const isClosed = closed.some((each) => covers(each, domain))
    const origin = isClosed ? mirror : endpointUrl(known.origin(domain).endpoint)
    return { name: folderOf(domain), text: hostsToml(mirror, origin) }
  })
  const others = isForAll ? [{ name: DEFAULT, text: hostsToml(mirror) }] : []
  const wide = new Set(patterns.filter((each) => each.subdomains).map(({ text }) => text))
  return {
    folders: [...folders, ...others],
    notes: [...wide].sort().flatMap((text) => {
      const isOnly = mirrorsOnly.includes(text)
      if (isForAll && !isOnly) return []
      const more = isOnly ? `, with \`server = "${mirror}"\`` : ''
      return `${text}: containerd has no folder for all subdomains; make one for each that is used${more}`
    }),
  }
}

function covers({ domain, subdomains }: ReturnType<typeof upstreamPattern>, name: string): boolean {
  return subdomains ? name.endsWith(`.${domain}`) : canonicalDomain(name) === domain
}

/** A colon is not a character of file names everywhere; containerd looks for this form first. */
function folderOf(domain: string): string {
  return domain.replace(/:(\d+)$/, '_$1_')
}

/** Without `server` containerd asks the registry that the image is named after in the end. */
function hostsToml(mirror: string, server?: string): string {
  const lines = [
    OWN_HOSTS_MARK,
    ...(server === undefined ? [] : [`server = ${JSON.stringify(server)}`]),
    '',
    `[host.${JSON.stringify(mirror)}]`,
    '  capabilities = ["pull", "resolve"]',
  ]
  return `${lines.join('\n')}\n`
}
