import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import { COMPONENT } from '../reference/grammar.ts'
import { type Endpoint, parseAddress } from '../registry/endpoint.ts'
import { canonicalDomain, DOCKER_HUB, DOCKER_HUB_HOST } from '../registry/public-registries.ts'

/** Where `server` or a `[host."URL"]` answers. */
export type HostUrl = Pick<Endpoint, 'scheme' | 'host' | 'prefix' | 'root'>

const FORM = /^(?<site>(?:[a-z][a-z0-9+.-]*:\/\/)?[^/]*)(?<path>\/[^?#]*)?$/i
const API = '/v2'
const MAX_LENGTH = 1_000
const PATH = /^(?:\/[\w.~!$&'()*+,;=:@%-]+)*$/

/**
 * Reads the URL of a host as containerd does: without a scheme it is https, and `/v2` is added to a
 * path that does not end in it. What lies below `/v2` is the beginning of every repository there
 * (Harbor's `/v2/proxy-docker` with `override_path`), so that images can be pulled from it by name;
 * any other path is the API's root.
 *
 * @param overridePath the path is taken as it is
 * @param place of the URL, for messages
 * @throws ResolveError CONFIG_INVALID
 */
export function parseHostUrl(text: string, overridePath: boolean, place: string): HostUrl {
  if (text.length > MAX_LENGTH) throw invalid(place, `longer than ${MAX_LENGTH} characters`)
  const { site = text, path = '' } = FORM.exec(text)?.groups ?? {}
  const { scheme, host } = parseSite(site, place)
  const clean = path === '' ? '' : posix.normalize(path).replace(/\/$/, '')
  if (!PATH.test(clean)) throw invalid(place, 'has a path that no URL can have')
  const root = overridePath || clean.endsWith(API) ? clean : `${clean}${API}`
  const answering = canonicalDomain(host) === DOCKER_HUB ? DOCKER_HUB_HOST : host
  if (root === API) return { scheme, host: answering, prefix: '' }
  const prefix = root.startsWith(`${API}/`) ? root.slice(API.length + 1) : ''
  return prefix !== '' && prefix.split('/').every((part) => COMPONENT.test(part))
    ? { scheme, host: answering, prefix }
    : { scheme, host: answering, prefix: '', root }
}

/** Whether the URL is that of the registry which images of this domain are named after. */
export function isRegistryOf(domain: string, { scheme, host, prefix, root }: HostUrl): boolean {
  if (prefix !== '' || root !== undefined) return false
  const port = scheme === 'http' ? /:80$/ : /:443$/
  const name = (text: string): string => canonicalDomain(text).replace(port, '')
  return name(host) === name(domain)
}

function parseSite(site: string, place: string): Endpoint {
  try {
    return parseAddress(site.includes('://') ? site : `https://${site}`)
  } catch (thrown) {
    throw invalid(place, thrown instanceof Error ? thrown.message : String(thrown))
  }
}

function invalid(place: string, problem: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', `${place}: ${problem}`)
}
