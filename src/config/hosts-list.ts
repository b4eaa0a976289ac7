import type { Endpoint } from '../registry/endpoint.ts'
import { isLoopbackHost, originEndpoint } from '../registry/endpoint.ts'
import type { Capability } from '../registry/entry.ts'
import { isPublicRegistry } from '../registry/public-registries.ts'
import type { HostRule, HostsFile, ServerRule } from './hosts-file.ts'
import type { HostPlace } from './hosts-order.ts'
import { isRegistryOf } from './hosts-url.ts'

/** What a folder means for the images of its domain. */
export interface DomainHosts {
  /** In the order of asking. */
  readonly places: readonly HostPlace[]
  /** The registry that the domain names is not among them, and is not asked. */
  readonly isMirrored: boolean
}

/**
 * Whom the images of a domain are asked of, by its hosts.toml: its hosts, then `server`. What says no
 * more than everybody knows of a public registry is left out: it is asked in the end anyway.
 *
 * @param domain absent: `_default`
 * @param note hears what has no effect
 */
export function hostsOf(
  domain: string | undefined,
  file: HostsFile,
  note: (message: string) => void,
): DomainHosts {
  const server = serverRule(domain, file.server, note)
  const rules = united(server === undefined ? file.hosts : [...file.hosts, server])
  const isOrigin = (rule: HostRule): boolean =>
    domain !== undefined && isRegistryOf(domain, rule.url)
  // Of a registry's own images the name says where they are (k3s-io/k3s#7007).
  const own = rules.filter((rule) => isOrigin(rule) && rule.rewrite !== undefined)
  if (own.length > 0) note('rewrite: not used for the registry that images are named after')
  const isMirrored = file.server.url !== undefined && !rules.some(isOrigin)
  if (isMirrored && domain === undefined) {
    note('server: asked before the registries that images are named after, not instead of them')
  }
  // Without `server` the registry itself comes last and may do everything, whatever a host's rule says.
  const complete = rules
    .filter((rule) => !own.includes(rule))
    .map((rule) =>
      isOrigin(rule) && file.server.url === undefined ? { ...rule, capabilities: BOTH } : rule,
    )
  const last = complete.at(-1)
  if (domain !== undefined && last !== undefined && isOrigin(last) && isKnown(domain, last)) {
    complete.pop()
  }
  return {
    places: complete.flatMap((rule) => placeOf(rule, note) ?? []),
    isMirrored: isMirrored && domain !== undefined,
  }
}

const BOTH: readonly Capability[] = ['resolve', 'pull']

/** Certificates and headers beside an absent `server` are those of the registry itself. */
function serverRule(
  domain: string | undefined,
  { url, ...rule }: ServerRule,
  note: (message: string) => void,
): HostRule | undefined {
  if (url !== undefined) return { url, ...rule }
  if (rule.tls === undefined && rule.headers === undefined) return undefined
  if (domain === undefined) {
    note('certificates and headers without a server: not used for every registry there is')
    return undefined
  }
  const { host, scheme } = originEndpoint(domain)
  const effective = rule.tls === undefined ? scheme : 'https'
  return { ...rule, capabilities: BOTH, url: { scheme: effective, host, prefix: '' } }
}

/** A place that is written twice is asked once, where it stands first, for all that it may do. */
function united(rules: readonly HostRule[]): readonly HostRule[] {
  const found = new Map<string, HostRule>()
  for (const rule of rules) {
    const key = JSON.stringify([rule.url, rule.rewrite])
    const { capabilities } = found.get(key) ?? { capabilities: [] }
    const all = [...capabilities, ...rule.capabilities]
    found.set(key, {
      ...(found.get(key) ?? rule),
      capabilities: BOTH.filter((each) => all.includes(each)),
    })
  }
  return [...found.values()]
}

function isKnown(domain: string, { url, tls, headers, capabilities }: HostRule): boolean {
  return (
    isPublicRegistry(domain) &&
    url.scheme === 'https' &&
    tls === undefined &&
    headers === undefined &&
    capabilities.length === BOTH.length
  )
}

/**
 * A runtime pulls `host/prefix/path@digest` and knows nothing of other roots: such a host can say
 * what a tag is, and nobody can be sent there.
 */
function placeOf(
  { url, tls, headers, capabilities, rewrite }: HostRule,
  note: (message: string) => void,
): HostPlace | undefined {
  const allowed =
    url.root === undefined ? capabilities : capabilities.filter((each) => each === 'resolve')
  const name = `${url.scheme}://${url.host}${url.root ?? ''}`
  if (allowed.length === 0) {
    if (capabilities.length > 0) {
      note(`${name}: left out, since no image name leads to that path and it may not resolve`)
    }
    return undefined
  }
  const isPlain = url.scheme === 'http'
  // `skip_verify` beside http is in everybody's examples, and does no harm.
  if (isPlain && (tls?.caFiles ?? tls?.certFile) !== undefined) {
    note(`${name}: its certificates are not used over http; write https:// if it has TLS`)
  }
  const endpoint: Endpoint = {
    ...url,
    ...(headers === undefined ? {} : { headers }),
    ...(tls === undefined || isPlain ? {} : { tls }),
  }
  return { endpoint, capabilities: allowed, ...(rewrite === undefined ? {} : { rewrite }) }
}

/** Whether containerd has to be told something about this host before it can pull from it by name. */
export function needsOwnFolder({ endpoint, capabilities }: HostPlace): boolean {
  const { scheme, host, tls, headers } = endpoint
  const isOdd = scheme === 'http' ? !isLoopbackHost(host) : tls !== undefined
  return capabilities.includes('pull') && (isOdd || headers !== undefined)
}
