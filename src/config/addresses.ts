import { isIPv6 } from 'node:net'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import { COMPONENT, DOMAIN, PATH_MAX_LENGTH, splitDomain } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'
import { isNoHost } from '../registry/endpoint.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import { refusal } from './diagnostics.ts'

/** An address, or what is written in place of one, for a message: without a query, which may be a secret. */
export function quoteAddress(text: string): string {
  return quote(text.replace(/([?#]).*$/s, '$1…'))
}

/** Where the HTTP API is served; IPv6 without brackets, port 0 means any free one. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/**
 * Reads `host:port`, `[ipv6]:port` or `unix:///path`. A port alone is refused: it would open the
 * API to every network by saying nothing.
 *
 * @throws ResolveError CONFIG_INVALID
 */
export function parseListen(text: string): ListenAddress {
  if (text.startsWith('unix:')) return { kind: 'unix', path: parseSocketPath(text) }
  const [, bracketed, name, digits] = /^(?:\[([^\]]*)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? name
  const port = Number(digits)
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw refusal(
      `${quoteAddress(text)} is not host:port or unix:///path; write 127.0.0.1:9430, [::1]:9430 or, for every network, 0.0.0.0:9430`,
    )
  }
  if (port > 65535) throw refusal(`port ${port} is above 65535`)
  return { kind: 'tcp', host, port }
}

/** Whether only this machine can reach it. */
export function isLocalListen(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  return /^(?:localhost|127(?:\.\d+){3}|::1)$/i.test(address.host)
}

/** What fits into a socket address on Linux (unix(7), sun_path) beside its closing zero. */
const MAX_PATH_BYTES = 107

/** Where runtimes listen by default, in the order of asking. */
const RUNTIME_SOCKETS = [
  '/run/containerd/containerd.sock',
  '/run/crio/crio.sock',
  '/run/cri-dockerd.sock',
] as const

/**
 * Reads the path of a unix socket, with or without `unix://` before it.
 *
 * @throws ResolveError CONFIG_INVALID when it is not absolute or too long to be bound
 */
export function parseSocketPath(text: string): string {
  const path = parseAbsolutePath(text.replace(/^unix:\/\//, ''))
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_PATH_BYTES) {
    throw refusal(`the path of a socket has at most ${MAX_PATH_BYTES} bytes, this one ${bytes}`)
  }
  return path
}

/** @throws ResolveError CONFIG_INVALID when it is not absolute */
export function parseAbsolutePath(text: string): string {
  if (text.startsWith('/') && !text.includes('\0')) return text
  throw refusal(`${quote(text)} is not an absolute path; start it with /`)
}

/** `/x`, `./x`, `~/x`, or a name with the end of a file. */
const PATH = /^(?:(?:\.{0,2}|~)\/\P{Cc}*|[\w./-]{1,100}\.(?:json|ya?ml|pem|key|txt|conf))$/u

/**
 * As parseAbsolutePath, of a file that holds a secret. What is no path may be that secret.
 *
 * @throws ResolveError CONFIG_INVALID; its message repeats nothing but paths
 */
export function parseSecretPath(text: string): string {
  if (PATH.test(text)) return parseAbsolutePath(text)
  throw refusal(
    'looks like the secret itself; write the path of a file that holds it, which begins with /',
  )
}

/** The first known runtime socket that is there. */
export function detectRuntime(exists: (path: string) => boolean): string | undefined {
  return RUNTIME_SOCKETS.find(exists)
}

/** Whether both name one file; /var/run is a link to /run wherever systemd is. */
export function isSameSocket(one: string, other: string): boolean {
  return canonical(one) === canonical(other)
}

function canonical(path: string): string {
  return posix.normalize(path).replace(/^\/var\/run\//, '/run/')
}

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
    `${quoteAddress(text)} is not what images are named by; write a domain as references do, without a scheme (docker.io, hub.corp:5000), *.corp for its subdomains, or quay.io/team for one path`,
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
    throw refusal(
      `${quoteAddress(text)} has no {path}, so every image would be the same one; ${hint}`,
    )
  }
  const example = text.replace(/\{(?:domain|path)\}/g, 'x')
  const isLegal =
    text.length <= PATH_MAX_LENGTH &&
    example.split('/').every((component) => COMPONENT.test(component))
  if (!isLegal) throw refusal(`${quoteAddress(text)} makes no name of a repository; ${hint}`)
  return text
}

/**
 * Reads `http://host:port` of a proxy, with `user:password@` before the host where it asks for
 * one; without a scheme it is http, as curl and Go have it.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text, which may hold a password
 */
export function parseProxy(text: string): string {
  const spelled = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(spelled) ? new URL(spelled) : undefined
  const isProxy =
    url !== undefined &&
    !isNoHost(spelled.replace(/^.*(?:@|:\/\/)/s, '').replace(/\/$/, '')) &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === ''
  if (isProxy) return url.href.slice(0, -1)
  throw refusal(
    'not a proxy; write http://host:port or https://host:port, with user:password@ before the host where it asks for them',
  )
}

/**
 * Reads the host of a token service: `auth.corp`, `auth.corp:8443`, `[fd00::7]:8443`.
 *
 * @returns lower case
 * @throws ResolveError CONFIG_INVALID for a URL, a path, and what no host can be
 */
export function parseRealm(text: string): string {
  const host = text.toLowerCase()
  if (DOMAIN.test(host) && URL.canParse(`https://${host}`) && !isNoHost(host)) return host
  throw refusal(
    `${quoteAddress(text)} is not the host of a token service; write host or host:port, without scheme and path`,
  )
}
