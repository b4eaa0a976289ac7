import { Agent, request as requestPlain } from 'node:http'
import type { AgentOptions, RequestOptions } from 'node:https'
import { BlockList, isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { ResolveError } from '../../errors.ts'
import { bracketed } from '../endpoint.ts'
import { timedOut } from '../registry-failure.ts'
import { https } from './tls.ts'

/** As in HTTP_PROXY, HTTPS_PROXY and NO_PROXY; absent or '': not used. */
export interface ProxyOptions {
  readonly http?: string | undefined
  readonly https?: string | undefined
  readonly no?: string | undefined
}

type Exception = (host: string, port: string) => boolean

/**
 * Which proxy a request goes through. NO_PROXY is read as containerd reads it (Go's httpproxy): `corp` is that name and what is below it, `.corp` and
 * `*.corp` only what is below, `*` everything; addresses, CIDR ranges, and `host:port`.
 */
export class Proxies {
  readonly #http: URL | undefined
  readonly #https: URL | undefined
  readonly #exceptions: readonly Exception[]
  #loopback: BlockList | undefined

  /** @throws ResolveError CONFIG_INVALID, which does not repeat an address: it may hold a password */
  constructor({ http, https, no }: ProxyOptions = {}) {
    this.#http = proxyUrl(http, 'http')
    this.#https = proxyUrl(https, 'https')
    this.#exceptions = (no ?? '')
      .split(/[,\s]+/)
      .filter((text) => text !== '')
      .map(exception)
  }

  /** undefined: none. Loopback never goes through one. */
  of(url: URL): URL | undefined {
    const proxy = url.protocol === 'https:' ? this.#https : this.#http
    if (proxy === undefined) return undefined
    const host = bareHost(url.hostname)
    this.#loopback ??= cidrs(['127.0.0.0', 8], ['::1', 128])
    if (isLocalName(host) || contains(this.#loopback, host)) return undefined
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    return this.#exceptions.some((excepts) => excepts(host, port)) ? undefined : proxy
  }
}

/** The header for a proxy with credentials in its address. */
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
  const absolute = address.includes('://') ? address : `http://${address}`
  const url = URL.canParse(absolute) ? new URL(absolute) : undefined
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
  // No colon of an IPv6 address without brackets begins a port.
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
  // As in Go, an invalid range excepts nothing.
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

export interface TunnelOptions extends AgentOptions {
  readonly proxy: URL
  /** Limit of a tunnel and the TLS within it, together. */
  readonly connectTimeoutMs: number
}

interface Destroyable {
  destroy(error?: Error): unknown
}

/** Connections for https through CONNECT of an HTTP proxy (RFC 9110, 9.3.6). */
export class TunnelAgent extends Agent {
  /** As of https.Agent. */
  readonly protocol = 'https:'
  readonly defaultPort = 443
  readonly #options: TunnelOptions
  readonly #way: Agent
  readonly #opening = new Set<Destroyable>()

  constructor(options: TunnelOptions) {
    super(options)
    this.#options = options
    const { autoSelectFamilyAttemptTimeout } = options
    const way = { ...(autoSelectFamilyAttemptTimeout && { autoSelectFamilyAttemptTimeout }) }
    this.#way = options.proxy.protocol === 'https:' ? new (https().Agent)(way) : new Agent(way)
  }

  override createConnection(
    target: RequestOptions,
    done: (error: Error | null, socket: Duplex) => void = () => {},
  ): undefined {
    this.#open(target).then(
      (socket) => done(null, socket),
      // The types have no case without a socket.
      (error: Error) => done(error, undefined as never),
    )
  }

  override destroy(): void {
    for (const each of this.#opening) each.destroy(new Error('closed'))
    super.destroy()
  }

  #open({ host, port, servername }: RequestOptions): Promise<TLSSocket> {
    const { connectTimeoutMs, proxy, rejectUnauthorized, secureContext } = this.#options
    const authority = `${bracketed(host ?? '')}:${port ?? 443}`
    return new Promise((resolve, reject) => {
      const send = proxy.protocol === 'https:' ? https().request : requestPlain
      const request = send({
        agent: this.#way,
        protocol: proxy.protocol,
        host: bareHost(proxy.hostname),
        port: proxy.port || null,
        method: 'CONNECT',
        path: authority,
        headers: { host: authority, ...proxyAuthorization(proxy) },
      })
      let current: Destroyable = request
      this.#opening.add(request)
      const timer = setTimeout(() => {
        end(timedOut(`no tunnel within ${connectTimeoutMs} ms`))
      }, connectTimeoutMs)
      const settle = (): void => {
        clearTimeout(timer)
        this.#opening.delete(current)
      }
      const end = (error: Error): void => {
        settle()
        current.destroy()
        reject(error)
      }
      request.on('error', end)
      request.once('connect', ({ statusCode = 0 }, socket) => {
        if (statusCode < 200 || statusCode > 299) {
          socket.destroy()
          end(new Error(`Proxy response (${statusCode})`))
          return
        }
        this.#opening.delete(request)
        const tls = process.getBuiltinModule('node:tls').connect({
          socket,
          ...(host && { host }),
          ...(servername && { servername }),
          ...(secureContext && { secureContext }),
          ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
          ALPNProtocols: ['http/1.1'],
        })
        current = tls
        this.#opening.add(tls)
        tls.on('error', end)
        tls.once('secureConnect', () => {
          settle()
          resolve(tls)
        })
      })
      request.end()
    })
  }
}
