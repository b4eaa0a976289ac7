import type { Config } from '../../config/config.ts'
import { hostsFolder, OWN_HOSTS_MARK } from '../../config/sources/hosts-toml.ts'
import { type Endpoint, endpointUrl, isLoopbackHost } from '../../registry/endpoint.ts'
import type { RegistryEntry } from '../../registry/entry.ts'
import { canonicalDomain, isPublicRegistry } from '../../registry/public-registries.ts'
import { ConfiguredRegistries, upstreamPattern } from '../../registry/registries.ts'

/** A folder below containerd's `config_path`, with its hosts.toml. */
export interface HostsFolder {
  /** `docker.io`, `hub.corp_5000_`, `_default`. */
  readonly name: string
  readonly text: string
}

export interface HostsPlan {
  /** By name, `_default` last. */
  readonly folders: readonly HostsFolder[]
  /** What hosts.toml cannot express, one line each. */
  readonly notes: readonly string[]
}

const DEFAULT = '_default'

/**
 * What containerd needs (its docs/hosts.md) to pull through our mirror end-point: a folder for
 * each domain that some registry serves, and one for all others where one serves everything; and
 * what it needs to pull from the configured registries themselves.
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
  const direct = directSections(registries)
  const domains = [
    ...patterns.flatMap((each) => (each.subdomains ? [] : each.domain)),
    ...direct.keys(),
  ]
  const isForAll = registries.some(
    ({ endpoint, upstreams }) => upstreams === undefined && !isPublicRegistry(endpoint.host),
  )
  const folders = [...new Set(domains)].sort().map((domain) => {
    // What is not to come from its origin must not be asked for there by containerd either.
    const isClosed = closed.some((each) => covers(each, domain))
    const origin = isClosed ? mirror : endpointUrl(known.origin(domain).endpoint)
    const own = isClosed ? [] : (direct.get(domain)?.lines ?? [])
    return { name: hostsFolder(domain), text: hostsToml([...section(mirror), ...own], origin) }
  })
  const others = isForAll ? [{ name: DEFAULT, text: hostsToml(section(mirror)) }] : []
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

/**
 * What containerd needs to pull from the configured registries themselves: a folder for
 * each that speaks plain http, or TLS with settings of its own, and nothing of our mirror end-point.
 */
export function planDirectHosts(registries: readonly RegistryEntry[]): readonly HostsFolder[] {
  return [...directSections(registries)]
    .map(([domain, { server, lines }]) => ({
      name: hostsFolder(domain),
      text: hostsToml(lines, server),
    }))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
}

interface DirectSection {
  readonly server: string
  readonly lines: readonly string[]
}

/** By host. containerd by itself speaks http to loopback and https to all others. */
function directSections(registries: readonly RegistryEntry[]): ReadonlyMap<string, DirectSection> {
  const special = registries.filter(({ endpoint, capabilities = ['pull'] }) => {
    const { scheme, host, tls, root } = endpoint
    if (!capabilities.includes('pull') || root !== undefined) return false
    return scheme === 'http' ? !isLoopbackHost(host) : tls !== undefined
  })
  // The first one counts, as where several prefixes are on one host.
  return new Map(
    special.map(({ endpoint }) => [endpoint.host, directSection(endpoint)] as const).reverse(),
  )
}

/** `server` alone does not do for containerd 1.6, which then speaks https all the same. */
function directSection(endpoint: Endpoint): DirectSection {
  const server = endpointUrl(endpoint)
  const { caFiles = [], certFile, keyFile, insecureSkipVerify } = endpoint.tls ?? {}
  const client = certFile === undefined ? [] : [[certFile, keyFile ?? certFile]]
  return {
    server,
    lines: [
      ...section(server),
      ...(caFiles.length === 0 ? [] : [`  ca = ${JSON.stringify(caFiles)}`]),
      ...(client.length === 0 ? [] : [`  client = ${JSON.stringify(client)}`]),
      ...(insecureSkipVerify ? ['  skip_verify = true'] : []),
    ],
  }
}

function covers({ domain, subdomains }: ReturnType<typeof upstreamPattern>, name: string): boolean {
  return subdomains ? name.endsWith(`.${domain}`) : canonicalDomain(name) === domain
}

/** Without `server` containerd asks the registry that the image is named after in the end. */
function hostsToml(sections: readonly string[], server?: string): string {
  const lines = [
    OWN_HOSTS_MARK,
    ...(server === undefined ? [] : [`server = ${JSON.stringify(server)}`]),
    ...sections,
  ]
  return `${lines.join('\n')}\n`
}

function section(url: string): readonly string[] {
  return ['', `[host.${JSON.stringify(url)}]`, '  capabilities = ["pull", "resolve"]']
}
