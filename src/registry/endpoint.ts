import { isIPv4 } from 'node:net'
import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { canonicalDomain, DOCKER_HUB, DOCKER_HUB_HOST } from './public-registries.ts'

/** A host that speaks the OCI distribution protocol, and what requests to it need. */
export interface Endpoint {
  readonly scheme: 'http' | 'https'
  /** `host` or `host:port`, IPv6 in brackets, lower case. */
  readonly host: string
  /** Path between `/v2/` and the repository (a Harbor project), without slashes at its ends; mostly ''. */
  readonly prefix: string
  /** Path of the API where it is not `/v2` (containerd's `override_path`), without a slash at its end. */
  readonly root?: string
  /** Sent with every request to this host, and to no other. */
  readonly headers?: Readonly<Record<string, string>>
  readonly tls?: EndpointTls
}

/** The TLS settings of one registry; files are PEM, absolute paths, read again when they change. */
export interface EndpointTls {
  /** Authorities trusted beside the well-known ones. */
  readonly caFiles?: readonly string[]
  /** The client certificate; both or none. */
  readonly certFile?: string
  readonly keyFile?: string
  /** Accept any certificate. */
  readonly insecureSkipVerify?: boolean
}

const ADDRESS = /^(?:(?<scheme>[a-z][a-z0-9+.-]*):\/\/)?(?<host>[^/]*)(?<path>\/.*)?$/i
const HOST = /^(?<name>\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?<port>\d{1,5}))?$/
const PATH_COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const PREFIX = new RegExp(`^(?:${PATH_COMPONENT}(?:/${PATH_COMPONENT})*)?$`)
const API_PATH = /^\/v[12](?=\/|$)/
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/

/**
 * Parses a registry's address as operators write it: `sealos.hub:5000`, `http://host:5000`,
 * `https://harbor.corp/proxy-docker` (the path becomes the prefix), `[::1]:5000`. Without a scheme
 * it is https, on loopback http. `/v1` and `/v2`, the path of the API itself, are no part of the
 * prefix: `https://index.docker.io/v1/` is how Docker's files call Docker Hub.
 *
 * @throws ResolveError CONFIG_INVALID, which says how to correct the address
 */
export function parseAddress(text: string): Endpoint {
  const address = text.trim()
  const { scheme, host = '', path = '' } = ADDRESS.exec(address)?.groups ?? {}
  // The part before an @, or a query, may be a secret: no message repeats an address that has one.
  if (address.includes('@')) {
    throw invalid('a registry address', 'holds credentials: move them to `auth`')
  }
  const shown = address.replace(/([?#]).*$/s, '$1…')
  const named = `registry address ${quote(shown)}`
  if (shown !== address) throw invalid(named, 'has a query or fragment: leave it out')
  const protocol = scheme?.toLowerCase()
  if (protocol !== undefined && protocol !== 'http' && protocol !== 'https') {
    throw invalid(named, `has the scheme ${protocol}: write http:// or https://`)
  }
  const prefix = path.replace(API_PATH, '').replace(/^\/+|\/+$/g, '')
  if (!PREFIX.test(prefix)) {
    throw invalid(
      named,
      'has a path that no repository can start with: use a-z, 0-9, -, _, . and /',
    )
  }
  const checked = checkHost(host.toLowerCase(), named)
  const effective = protocol ?? (isLoopbackHost(checked) ? 'http' : 'https')
  return { scheme: effective, host: pullableHost(checked, effective), prefix }
}

/** `host[/prefix]`: the name in logs and answers. */
export function endpointName({ host, prefix }: Endpoint): string {
  return prefix === '' ? host : `${host}/${prefix}`
}

/** `scheme://host`, without the prefix. */
export function endpointUrl({ scheme, host }: Endpoint): string {
  return `${scheme}://${host}`
}

/** What is learned of an endpoint is kept under this key: URL and TLS settings, since one that accepts any certificate is trusted less. */
export function endpointKey(endpoint: Endpoint): string {
  return JSON.stringify([endpointUrl(endpoint), endpoint.tls])
}

/**
 * The endpoint of another host, to which a registry redirects. It takes over no settings of the registry but the
 * authorities of its certificate.
 */
export function foreignEndpoint({ protocol, host }: URL, { tls }: Endpoint): Endpoint {
  const caFiles = protocol === 'https:' ? tls?.caFiles : undefined
  return {
    scheme: protocol === 'https:' ? 'https' : 'http',
    host,
    prefix: '',
    ...(caFiles !== undefined && { tls: { caFiles } }),
  }
}

/** The endpoint of the registry that a domain names; Docker Hub's has another host. */
export function originEndpoint(domain: string): Endpoint {
  const name = canonicalDomain(domain)
  const host = name === DOCKER_HUB ? DOCKER_HUB_HOST : name
  return { scheme: isLoopbackHost(host) ? 'http' : 'https', host, prefix: '' }
}

/** A host as URLs have it: IPv6 in brackets. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** localhost, 127.0.0.0/8 or ::1, with or without a port: containerd asks these over http, too. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(host)
}

/**
 * Whether a host is a number, as `address: 5` gives one, or `true`: a URL takes 5 for the address 0.0.0.5, and what
 * was meant is something else.
 */
export function isNoHost(host: string): boolean {
  if (/^(?:true|false)(?::\d+)?$/i.test(host)) return true
  if (!URL.canParse(`http://${host}`)) return false
  const { hostname } = new URL(`http://${host}`)
  return isIPv4(hostname) && !host.startsWith(hostname)
}

function checkHost(host: string, named: string): string {
  if (host === '') throw invalid(named, 'has no host: write it as host:port')
  const { name, port } = HOST.exec(host)?.groups ?? {}
  if (name === undefined || !URL.canParse(`http://${host}`)) {
    const colons = host.split(':').length - 1
    const hint =
      colons > 1 && !host.startsWith('[')
        ? 'put an IPv6 address in brackets, as in [::1]:5000'
        : 'write it as host or host:port, the port between 1 and 65535'
    throw invalid(named, `has a host that cannot be: ${hint}`)
  }
  if (isNoHost(host)) {
    throw invalid(
      named,
      'is a number or a truth value: write the host, or all four parts of its address',
    )
  }
  if (port !== undefined && Number(port) === 0) {
    throw invalid(named, 'has the port 0: write one between 1 and 65535')
  }
  return port === undefined ? name : `${name}:${Number(port)}`
}

/**
 * Adds the port to a bare name: to a runtime `hub/library/nginx` is a repository of Docker Hub. Only a dot, a
 * port or `localhost` makes the first part a host.
 */
function pullableHost(host: string, scheme: 'http' | 'https'): string {
  if (/[.:]/.test(host) || host === 'localhost') return host
  return `${host}:${scheme === 'http' ? 80 : 443}`
}

function invalid(named: string, problem: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', `${named} ${problem}`)
}
