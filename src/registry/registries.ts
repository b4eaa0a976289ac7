import { createHash } from 'node:crypto'
import type { Reference } from '../reference/reference.ts'
import { type Endpoint, isLoopbackHost, originEndpoint } from './endpoint.ts'
import type { RegistryEntry } from './entry.ts'
import {
  canonicalDomain,
  DOCKER_HUB_HOST,
  isPublicRegistry,
  sameDomain,
} from './public-registries.ts'

/** A repository as references name it. */
type Repository = Pick<Reference, 'domain' | 'path'>

interface Configured {
  readonly entry: RegistryEntry
  /** undefined: the entry has no upstreams. */
  readonly patterns: readonly UpstreamPattern[] | undefined
}

/** Which configured registries serve a repository. */
export class ConfiguredRegistries {
  /** Part of every cache key: answers of an older configuration are not found. */
  readonly generation: number
  readonly #entries: readonly Configured[]
  /** Domains that are configured registries themselves. */
  readonly #own: ReadonlyMap<string, RegistryEntry>
  /** Domains of which at least a part is configured: the first entry on each host. */
  readonly #hosts: ReadonlyMap<string, RegistryEntry>
  readonly #mirrorsOnly: readonly UpstreamPattern[]
  readonly #loopbackOrigins: boolean

  /**
   * @param entries in the order of asking
   * @param generation differs from that of every configuration before
   * @param mirrorsOnly upstream patterns; the origin of what they match is never asked
   * @param loopbackOrigins registries on loopback count as configured when a reference names them
   */
  constructor(
    entries: readonly RegistryEntry[],
    generation: number,
    mirrorsOnly: readonly string[] = [],
    loopbackOrigins = false,
  ) {
    this.#loopbackOrigins = loopbackOrigins
    this.#entries = entries.map((entry) => ({
      entry,
      patterns: entry.upstreams?.map(upstreamPattern),
    }))
    this.generation = generation
    this.#mirrorsOnly = mirrorsOnly.map(upstreamPattern)
    // The first one counts: one host may have entries for several prefixes.
    this.#own = firstByDomain(entries.filter(({ endpoint }) => endpoint.prefix === ''))
    this.#hosts = firstByDomain(entries)
  }

  /**
   * In the order of asking. Among the entries that name upstreams only those with the longest match serve it:
   * `quay.io/team` takes the images of that team from entries for `quay.io` or `*.io`. That leaves entries
   * without upstreams, which serve everything, and the registry of the domain itself unaffected.
   */
  serving({ domain, path }: Repository): readonly RegistryEntry[] {
    const wanted = canonicalDomain(domain)
    const matches = this.#entries.map(({ patterns }) => longest(patterns ?? [], wanted, path))
    const most = matches.reduce(longer, undefined)
    return this.#entries
      .filter(({ entry, patterns }, index) => {
        if (this.#own.get(wanted) === entry) return this.mirrorsOnly({ domain, path }) === undefined
        if (patterns === undefined) return this.#servesAnything(entry, wanted)
        const match = matches[index]
        return match !== undefined && most !== undefined && compareMatches(match, most) === 0
      })
      .map(({ entry }) => entry)
  }

  /** The registry that a domain names. */
  origin(domain: string): {
    readonly endpoint: Endpoint
    /** Set where the operator configured that registry. */
    readonly entry?: RegistryEntry
    /** The operator named its host, maybe for a prefix only. */
    readonly configured: boolean
  } {
    const name = canonicalDomain(domain)
    const entry = this.#own.get(name)
    const neighbour = entry ?? this.#hosts.get(name)
    if (neighbour === undefined) {
      const endpoint = originEndpoint(domain)
      return { endpoint, configured: this.#loopbackOrigins && isLoopbackHost(endpoint.host) }
    }
    const endpoint = atRoot(neighbour.endpoint)
    return entry === undefined
      ? { endpoint, configured: true }
      : { endpoint: { ...entry.endpoint, host: endpoint.host }, entry, configured: true }
  }

  /** Whether a host is one of the well-known public registries. */
  isPublic(host: string): boolean {
    return isPublicRegistry(host)
  }

  /** The pattern, as written, that forbids the origin for this repository; undefined: none does. */
  mirrorsOnly({ domain, path }: Repository): string | undefined {
    return longest(this.#mirrorsOnly, canonicalDomain(domain), path)?.pattern.text
  }

  /**
   * Whether an entry without upstreams serves a domain. The host of a configured private registry in a name
   * means that registry and the offline one: image-cri-shim asks `address:` for every image, and its users list
   * their own registry for the credentials and keep the images in `address:`. Any other registry may have another
   * image by the same path, and so may another project on the same host.
   * A public registry that is configured, for its credentials say, still has its mirrors. No public registry is
   * asked for images of other registries: any tenant could own such a name there.
   */
  #servesAnything(entry: RegistryEntry, domain: string): boolean {
    if (entry.exceptUpstreams?.includes(domain)) return false
    if (isPublicRegistry(entry.endpoint.host)) return false
    if (isPublicRegistry(domain) || !this.#hosts.has(domain)) return true
    return entry.offline && !sameDomain(entry.endpoint.host, domain)
  }
}

function firstByDomain(entries: readonly RegistryEntry[]): ReadonlyMap<string, RegistryEntry> {
  const named = entries.map((entry) => [canonicalDomain(entry.endpoint.host), entry] as const)
  return new Map(named.reverse())
}

/** The endpoint of the host, without the settings of one prefix. */
function atRoot({ scheme, host, headers, tls }: Endpoint): Endpoint {
  const isHub = canonicalDomain(host) === canonicalDomain(DOCKER_HUB_HOST)
  return {
    scheme,
    host: isHub ? DOCKER_HUB_HOST : host,
    prefix: '',
    ...(headers !== undefined && { headers }),
    ...(tls !== undefined && { tls }),
  }
}

function longest(
  patterns: readonly UpstreamPattern[],
  domain: string,
  path: string,
): UpstreamMatch | undefined {
  return patterns.map((pattern) => matchUpstream(pattern, domain, path)).reduce(longer, undefined)
}

function longer(
  one: UpstreamMatch | undefined,
  other: UpstreamMatch | undefined,
): UpstreamMatch | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return compareMatches(other, one) > 0 ? other : one
}

/** A domain, `*.` and a domain for all its subdomains, either with a path. */
export interface UpstreamPattern {
  /** As it was written. */
  readonly text: string
  /** Without `*.`. */
  readonly domain: string
  readonly subdomains: boolean
  /** `''`, or the components that a path has to begin with. */
  readonly path: string
}

/** The part of a repository's name that a pattern matches; the longer, the more specific. */
export interface UpstreamMatch {
  readonly pattern: UpstreamPattern
  /** Characters of `domain/path` that the pattern accounts for. */
  readonly length: number
}

const PORT = /:\d+$/

/** @param text validated: `docker.io`, `hub.corp:5000`, `*.corp`, `quay.io/team` */
export function upstreamPattern(text: string): UpstreamPattern {
  const slash = text.indexOf('/')
  const host = slash === -1 ? text : text.slice(0, slash)
  const subdomains = host.startsWith('*.')
  return {
    text,
    domain: canonicalDomain(subdomains ? host.slice(2) : host),
    subdomains,
    path: slash === -1 ? '' : text.slice(slash + 1),
  }
}

/**
 * How much of a repository's name the pattern matches; undefined: it does not. A domain matches with
 * its port alone, since another port is another registry; `*.corp` matches whatever the port,
 * unless it has one itself, as in containers' registries.conf, but never `corp`. A path
 * matches by whole components.
 *
 * @param domain canonical
 */
export function matchUpstream(
  pattern: UpstreamPattern,
  domain: string,
  path: string,
): UpstreamMatch | undefined {
  if (!matchesDomain(pattern, domain)) return undefined
  if (pattern.path === '') return { pattern, length: domain.length }
  if (path !== pattern.path && !path.startsWith(`${pattern.path}/`)) return undefined
  return { pattern, length: domain.length + 1 + pattern.path.length }
}

/**
 * Which of two matches of one name is more specific: the longer one, and of `*.corp` and `*.eu.corp`,
 * which both match the whole domain, the one with the longer pattern.
 */
export function compareMatches(one: UpstreamMatch, other: UpstreamMatch): number {
  return one.length - other.length || one.pattern.domain.length - other.pattern.domain.length
}

function matchesDomain(pattern: UpstreamPattern, domain: string): boolean {
  if (!pattern.subdomains) return domain === pattern.domain
  const name = PORT.test(pattern.domain) ? domain : domain.replace(PORT, '')
  return name.endsWith(`.${pattern.domain}`)
}

/** Goes into a file: credentials are left out, and headers, which may be some too. */
export function registriesFingerprint({
  registries,
  mirrorsOnly,
}: {
  readonly registries: readonly RegistryEntry[]
  readonly mirrorsOnly: readonly unknown[]
}): string {
  const entries = registries.map(({ credentials, credentialFiles, endpoint, ...entry }) => {
    const { headers, ...place } = endpoint
    return { ...entry, endpoint: place }
  })
  return createHash('sha256')
    .update(JSON.stringify([entries, mirrorsOnly]))
    .digest('hex')
}
