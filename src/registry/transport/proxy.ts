import { BlockList, isIP } from 'node:net'
import { ResolveError } from '../../errors.ts'

/** As in HTTP_PROXY, HTTPS_PROXY and NO_PROXY; absent or '': not used. */
export interface ProxyOptions {
  readonly http?: string | undefined
  readonly https?: string | undefined
  readonly no?: string | undefined
}

type Exception = (host: string, port: string) => boolean

const LOOPBACK = cidrs(['127.0.0.0', 8], ['::1', 128])

/**
 * Which proxy a request goes through. NO_PROXY is read as containerd reads it (Go's httpproxy), so
 * that one setting means the same to both: `corp` is that name and what is below it, `.corp` and
 * `*.corp` only what is below, `*` everything; addresses, CIDR ranges, and `host:port`.
 */
export class Proxies {
  readonly #http: URL | undefined
  readonly #https: URL | undefined
  readonly #exceptions: readonly Exception[]

  /** @throws ResolveError CONFIG_INVALID, which does not repeat an address: it may hold a password */
  constructor({ http, https, no }: ProxyOptions = {}) {
    this.#http = proxyUrl(http, 'http')
    this.#https = proxyUrl(https, 'https')
    this.#exceptions = (no ?? '')
      .split(/[,\s]+/)
      .filter((text) => text !== '')
      .map(exception)
  }

  /** undefined: it is asked directly. Loopback always is. */
  of(url: URL): URL | undefined {
    const proxy = url.protocol === 'https:' ? this.#https : this.#http
    if (proxy === undefined) return undefined
    const host = bareHost(url.hostname)
    if (isLocalName(host) || contains(LOOPBACK, host)) return undefined
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    return this.#exceptions.some((excepts) => excepts(host, port)) ? undefined : proxy
  }
}

/** The header for a proxy with a user in its address. */
export function proxyAuthorization({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '' && password === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** A URL's host name without brackets and the root's dot. */
export function bareHost(hostname: string): string {
  return hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase()
}

function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

function proxyUrl(text: string | undefined, scheme: 'http' | 'https'): URL | undefined {
  const address = text?.trim() ?? ''
  if (address === '') return undefined
  const written = address.includes('://') ? address : `http://${address}`
  const url = URL.canParse(written) ? new URL(written) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.hostname !== '') return url
  throw new ResolveError(
    'CONFIG_INVALID',
    `\`proxy.${scheme}\` is no address of an HTTP proxy: write it as http://host:port`,
  )
}

function exception(text: string): Exception {
  if (text === '*') return () => true
  const [network = '', prefix] = text.split('/')
  if (prefix !== undefined) return inRange(network, Number(prefix))
  const address = /^\[?(?<host>[^\]]*?)\]?(?::(?<port>\d+))?$/.exec(text)?.groups
  // An IPv6 address without brackets is all colons, and none of them begins a port.
  const host = bareHost(isIP(text) === 0 ? (address?.['host'] ?? text) : text)
  const wanted = isIP(text) === 0 ? address?.['port'] : undefined
  const suffix = host.replace(/^\*?(?=\.)/, '')
  const below = suffix.startsWith('.') ? suffix : `.${host}`
  return (asked, port) => {
    if (wanted !== undefined && wanted !== port) return false
    return asked === host || (isIP(asked) === 0 && asked.endsWith(below))
  }
}

function inRange(network: string, prefix: number): Exception {
  const family = isIP(network)
  const bits = family === 6 ? 128 : 32
  // What is no range excepts nothing, as it does in Go.
  if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > bits) return () => false
  const range = cidrs([network, prefix])
  return (host) => contains(range, host)
}

function cidrs(...ranges: readonly (readonly [network: string, prefix: number])[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of ranges) {
    list.addSubnet(network, prefix, isIP(network) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

function contains(list: BlockList, host: string): boolean {
  const family = isIP(host)
  return family !== 0 && list.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
