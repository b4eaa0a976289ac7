import { isIPv6 } from 'node:net'
import { posix } from 'node:path'
import type { DurationRange } from '../../api/v1/schema.ts'
import { ResolveError } from '../errors.ts'
import { COMPONENT, DOMAIN, PATH_MAX_LENGTH, splitDomain } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'
import { bracketed, isNoHost } from '../registry/endpoint.ts'
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

type TcpAddress = Extract<ListenAddress, { kind: 'tcp' }>

/** As this machine reaches it: what listens everywhere listens on loopback, too. @param loopback in place of `::` */
export function reachable(where: TcpAddress, loopback = '::1'): TcpAddress {
  const host = where.host === '::' ? loopback : where.host
  return { ...where, host: host === '0.0.0.0' ? '127.0.0.1' : host }
}

/** `http://127.0.0.1:9430`, or https with TLS. */
export function listenUrl({ host, port }: TcpAddress, tls: object | undefined): string {
  return `${tls === undefined ? 'http' : 'https'}://${bracketed(host)}:${port}`
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
 * Reads a token that goes into a header, where only visible ASCII can stand: a line break at its
 * end, say, would be found out by the registry alone.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text
 */
export function parseToken(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text
  throw refusal('not a token; write letters, digits and signs of ASCII on one line, without spaces')
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

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

/** Go keeps a duration in a signed 64-bit count of nanoseconds, about 292 years. */
const MAX_NANOSECONDS = 2n ** 63n - 1n

/** Characters of a duration. */
const MAX_LENGTH = 64

/** The micro sign exists twice in Unicode (U+00B5 and U+03BC); Go takes both. */
const TERM = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y

/**
 * Reads a duration as Go's time.ParseDuration does: `15m`, `1h30m`, `1.5h`, `500ms`, or a bare `0`.
 *
 * @returns milliseconds, with a fraction below one (`500us` is 0.5); never negative
 * @throws ResolveError CONFIG_INVALID for a number without unit, a negative or any other text
 */
export function parseDuration(text: string): number {
  if (text.length > MAX_LENGTH) throw refusal('a duration this long is none')
  const unsigned = text.replace(/^[-+]/, '')
  if (unsigned === '0') return 0
  if (/^\d+(\.\d+)?$/.test(unsigned)) {
    throw refusal(`${quote(text)} has no unit; write ${unsigned}s, ${unsigned}m or ${unsigned}h`)
  }
  const nanoseconds = sumOfTerms(unsigned)
  if (nanoseconds === undefined) {
    throw refusal(
      `${quote(text)} is not a duration; write 500ms, 30s, 15m or 1h30m (units: h, m, s, ms, us, ns)`,
    )
  }
  if (nanoseconds > MAX_NANOSECONDS) throw refusal(`${quote(text)} is too long`)
  if (text.startsWith('-') && nanoseconds > 0n) {
    throw refusal(`${quote(text)} is negative; write 0 or more`)
  }
  return Number(nanoseconds) / 1e6
}

function sumOfTerms(text: string): bigint | undefined {
  let sum = 0n
  let end = 0
  TERM.lastIndex = 0
  for (let term = TERM.exec(text); term !== null; term = TERM.exec(text)) {
    const [, whole = '', fraction = '', unit = ''] = term
    const scale = NANOSECONDS[unit]
    if (scale === undefined || whole + fraction === '') return undefined
    sum += BigInt(whole || '0') * scale
    sum += (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length)
    end = TERM.lastIndex
  }
  return end > 0 && end === text.length ? sum : undefined
}

/** The shortest text that reads back as these whole milliseconds: `1h30m`, `500ms`, `0s`. */
export function formatDuration(ms: number): string {
  const parts = [
    [Math.floor(ms / 3_600_000), 'h'],
    [Math.floor(ms / 60_000) % 60, 'm'],
    [Math.floor(ms / 1000) % 60, 's'],
    [ms % 1000, 'ms'],
  ] as const
  const text = parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('')
  return text === '' ? '0s' : text
}

/** @returns what reads a duration as whole milliseconds, and throws ResolveError CONFIG_INVALID outside the range */
export function within({ leastMs, mostMs }: DurationRange): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text)
    if (ms === 0 || (ms >= leastMs && ms <= mostMs)) return Math.round(ms)
    const range = `${formatDuration(leastMs)} to ${formatDuration(mostMs)}`
    throw refusal(`${quote(text)} is outside ${range} (0 is allowed)`)
  }
}
