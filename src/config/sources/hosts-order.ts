import {
  type Endpoint,
  endpointName,
  isLoopbackHost,
  originEndpoint,
} from '../../registry/endpoint.ts'
import type { Capability, RegistryEntry, RepositoryRewrite } from '../../registry/entry.ts'
import { canonicalDomain, isPublicRegistry } from '../../registry/public-registries.ts'
import { inAskingOrder } from '../registries.ts'
import { BOTH, type HostRule, type HostsFile, isRegistryOf, type ServerRule } from './hosts-toml.ts'

/** Where the images of one domain are asked for, the first one first. */
export interface HostsList {
  /** Absent: of every domain that has no list of its own. */
  readonly domain?: string
  readonly places: readonly HostPlace[]
}

interface HostPlace {
  readonly endpoint: Endpoint
  /** At least one. */
  readonly capabilities: readonly Capability[]
  readonly rewrite?: RepositoryRewrite
}

interface Node extends HostPlace {
  readonly name: string
  readonly domains: Set<string>
  isDefault: boolean
  /** Those that some list names right after it. */
  readonly next: Set<Node>
}

/** Below what `registries:` has by default, so that those come first; an origin has 0. */
const FIRST_PRIORITY = 499
const MAX_ENTRIES = 256

/**
 * One entry for each place, however many lists name it: what breaks for one domain is broken for
 * all of them. Priorities go down from 499, so that every list keeps its order.
 *
 * @param warn called with what could not be kept
 */
export function entriesOf(
  lists: readonly HostsList[],
  warn: (message: string) => void,
): readonly RegistryEntry[] {
  const nodes = new Map<string, Node>()
  let left = 0
  for (const { domain, places } of lists) {
    let before: Node | undefined
    for (const place of places) {
      const node = nodeOf(place, nodes)
      if (node === undefined) {
        left++
        continue
      }
      if (domain === undefined) node.isDefault = true
      else node.domains.add(domain)
      if (before !== undefined && reaches(node, before)) {
        warn(
          `${domain ?? '_default'}: ${before.name} comes before ${node.name} here and after it in another folder; the other order is used`,
        )
      } else {
        before?.next.add(node)
      }
      before = node
    }
  }
  const inOrder = ordered([...nodes.values()])
  const entries = inOrder.flatMap((node) => entriesFor(node, inOrder, lists, warn))
  if (left > 0) warn(`${left} hosts are left out: at most ${MAX_ENTRIES} are used`)
  return inAskingOrder(
    entries.map((entry, index) => ({ ...entry, priority: Math.max(1, FIRST_PRIORITY - index) })),
  )
}

/**
 * The same host by another scheme, with other certificates or rights is another registry.
 * Undefined: there are too many.
 */
function nodeOf(place: HostPlace, nodes: Map<string, Node>): Node | undefined {
  const key = JSON.stringify(place)
  const known = nodes.get(key)
  if (known !== undefined || nodes.size === MAX_ENTRIES) return known
  const name = `${endpointName(place.endpoint)}${place.endpoint.root ?? ''}`
  const node = {
    ...place,
    name,
    domains: new Set<string>(),
    isDefault: false,
    next: new Set<Node>(),
  }
  nodes.set(key, node)
  return node
}

/**
 * Mostly one. A domain that is configured itself is not among "every domain", so that a
 * host that is named for it and for every other one needs an entry for each.
 */
function entriesFor(
  node: Node,
  nodes: readonly Node[],
  lists: readonly HostsList[],
  warn: (message: string) => void,
): readonly RegistryEntry[] {
  const { name, endpoint, capabilities, rewrite, domains } = node
  const isShared = node.isDefault && !isPublicRegistry(endpoint.host)
  if (node.isDefault && !isShared) {
    warn(`_default: ${name} is public, and is not asked for the names of other registries`)
  }
  const common = {
    name,
    endpoint,
    priority: 0,
    offline: false,
    ...(capabilities.length === 2 ? {} : { capabilities }),
    ...(rewrite === undefined ? {} : { rewrite }),
  }
  const named = domains.size === 0 ? [] : [{ ...common, upstreams: [...domains] }]
  if (!isShared) return named
  const hosts = new Set(nodes.map((each) => canonicalDomain(each.endpoint.host)))
  const isSplit = [...domains].some((domain) => hosts.has(domain))
  const except = lists
    .flatMap(({ domain }) => domain ?? [])
    .filter((domain) => isSplit || !domains.has(domain))
  const shared = { ...common, ...(except.length === 0 ? {} : { exceptUpstreams: except }) }
  return isSplit ? [...named, shared] : [shared]
}

/** The first named first, as far as what comes after what leaves the choice. */
function ordered(nodes: readonly Node[]): readonly Node[] {
  const left = new Set(nodes)
  const result: Node[] = []
  while (left.size > 0) {
    const waiting = new Set([...left].flatMap(({ next }) => [...next]))
    const first = [...left].find((node) => !waiting.has(node))
    // No list was allowed to close a circle.
    if (first === undefined) break
    left.delete(first)
    result.push(first)
  }
  return result
}

function reaches(from: Node, to: Node): boolean {
  const seen = new Set<Node>([from])
  for (const node of seen) {
    if (node === to) return true
    for (const next of node.next) seen.add(next)
  }
  return false
}

/** What a folder means for the images of its domain. */
interface DomainHosts {
  /** In the order of asking. */
  readonly places: readonly HostPlace[]
  /** The registry that the domain names is not among them, and is not asked. */
  readonly isMirrored: boolean
}

/**
 * Where the images of a domain are asked for, by its hosts.toml: its hosts, then `server`. What says no
 * more than is known of a public registry is left out: it is asked in the end anyway.
 *
 * @param domain absent: `_default`
 * @param note called with what has no effect
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
 * what a tag is, and no runtime can pull from it.
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
  // `skip_verify` beside http is in most examples, and does no harm.
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

/** Whether containerd needs a hosts.toml for this host before it can pull from it by name. */
export function needsOwnFolder({ endpoint, capabilities }: HostPlace): boolean {
  const { scheme, host, tls, headers } = endpoint
  const isOdd = scheme === 'http' ? !isLoopbackHost(host) : tls !== undefined
  return capabilities.includes('pull') && (isOdd || headers !== undefined)
}
