import { type Endpoint, endpointName } from '../registry/endpoint.ts'
import type { Capability, RegistryEntry, RepositoryRewrite } from '../registry/entry.ts'
import { canonicalDomain, isPublicRegistry } from '../registry/public-registries.ts'
import { inAskingOrder } from './asking-order.ts'

/** Whom the images of one domain are asked of, the first one first. */
export interface HostsList {
  /** Absent: of every domain that has no list of its own. */
  readonly domain?: string
  readonly places: readonly HostPlace[]
}

export interface HostPlace {
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
 * @param warn hears what could not be kept
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
 * Mostly one. A domain that is configured itself is not among "every domain", so that who is named
 * for it and for every other one needs an entry for each.
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
