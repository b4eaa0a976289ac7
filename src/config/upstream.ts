import { ResolveError } from '../errors.ts'
import { splitDomain } from '../reference/domain.ts'
import { COMPONENT, DOMAIN, PATH_MAX_LENGTH } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import { refusal } from './diagnostics.ts'

/**
 * Reads an upstream: the domain of references (`quay.io`, `hub.corp:5000`, and `docker.io` for
 * every name of Docker Hub), the subdomains of one (`*.corp`), or a domain with the beginning of a
 * repository's path (`quay.io/team`).
 *
 * @returns lower case, Docker Hub's names as docker.io
 * @throws ResolveError CONFIG_INVALID for anything else: a URL, a lone `*`, a tag, and a name that
 *   no reference can have as its domain
 */
export function parseUpstream(text: string): string {
  if (text.startsWith('*.')) return subdomains(text)
  const slash = text.indexOf('/')
  const domain = canonicalDomain(slash < 0 ? text : text.slice(0, slash))
  const path = slash < 0 ? '' : text.slice(slash)
  if (!DOMAIN.test(domain) || splitDomain(`${domain}/x`).domain !== domain || !isPrefix(path)) {
    throw notUpstream(text)
  }
  return `${domain}${path}`
}

function subdomains(text: string): string {
  const domain = text.slice(2).toLowerCase()
  // An IPv6 address has no subdomains.
  if (!DOMAIN.test(domain) || domain.startsWith('[')) throw notUpstream(text)
  return `*.${domain}`
}

/** `''` or `/team/app`. */
function isPrefix(path: string): boolean {
  if (path.length > PATH_MAX_LENGTH) return false
  return (
    path === '' ||
    path
      .slice(1)
      .split('/')
      .every((component) => COMPONENT.test(component))
  )
}

function notUpstream(text: string): ResolveError {
  return new ResolveError(
    'CONFIG_INVALID',
    `${quote(text)} is not what images are named by; write a domain as references do, without a scheme (docker.io, hub.corp:5000), *.corp for its subdomains, or quay.io/team for one path`,
  )
}

/**
 * Reads where a registry keeps what it serves: `{domain}/{path}` of the reference, with whatever
 * else may stand in a repository's name between them.
 *
 * @returns the text as it is
 * @throws ResolveError CONFIG_INVALID without `{path}`, and when no repository could be called so
 */
export function parsePathTemplate(text: string): string {
  const hint = 'write it of {domain}, {path} and a-z, 0-9, -, _, . and /, as in {domain}/{path}'
  if (!text.includes('{path}')) {
    throw refusal(`${quote(text)} has no {path}, so every image would be the same one; ${hint}`)
  }
  const example = text.replace(/\{(?:domain|path)\}/g, 'x')
  const isLegal =
    text.length <= PATH_MAX_LENGTH &&
    example.split('/').every((component) => COMPONENT.test(component))
  if (!isLegal) throw refusal(`${quote(text)} makes no name of a repository; ${hint}`)
  return text
}
