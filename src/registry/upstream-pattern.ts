import { canonicalDomain } from './public-registries.ts'

/** Whose images a registry serves: a domain, `*.` and a domain for all below it, either with a path. */
export interface UpstreamPattern {
  /** As it was written. */
  readonly text: string
  /** Without `*.`. */
  readonly domain: string
  readonly subdomains: boolean
  /** `''`, or the components that a path has to begin with. */
  readonly path: string
}

/** What matched of a repository's name; the longer, the more a pattern means just that one. */
export interface UpstreamMatch {
  readonly pattern: UpstreamPattern
  /** Characters of `domain/path` that the pattern accounts for. */
  readonly length: number
}

const PORT = /:\d+$/

/** @param text already checked: `docker.io`, `hub.corp:5000`, `*.corp`, `quay.io/team` */
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
 * Which of two matches of one name says more: the longer one, and of `*.corp` and `*.eu.corp`,
 * which both match the whole domain, the one that leaves less open.
 */
export function compareMatches(one: UpstreamMatch, other: UpstreamMatch): number {
  return one.length - other.length || one.pattern.domain.length - other.pattern.domain.length
}

function matchesDomain(pattern: UpstreamPattern, domain: string): boolean {
  if (!pattern.subdomains) return domain === pattern.domain
  const name = PORT.test(pattern.domain) ? domain : domain.replace(PORT, '')
  return name.endsWith(`.${pattern.domain}`)
}
