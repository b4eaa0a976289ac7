import { type Endpoint, endpointUrl } from '../endpoint.ts'
import type { Exchange, ObserveExchange } from '../image.ts'
import { upgradeAdvice } from '../redirect.ts'
import { type RegistryResponse, rateLimitOf, warningOf } from '../response.ts'
import type { AddressPolicy } from './address-policy.ts'
import { type ConnectionOptions, Connections } from './connections.ts'
import { Proxies, type ProxyOptions } from './proxy.ts'
import { TlsIdentities } from './tls.ts'

export interface TransportOptions extends ConnectionOptions {
  /** Milliseconds. */
  readonly now: () => number
  /** A certificate authority (PEM) trusted beside the well-known ones. */
  readonly ca?: string
  readonly proxy?: ProxyOptions
  /** What to call ourselves in `Via` (RFC 9110, 7.6.3), to registries alone. Default: nothing. */
  readonly via?: string
}

export interface Call {
  readonly url: URL
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** The registry on whose behalf: for its TLS, and for the headers that are for it alone. */
  readonly endpoint: Endpoint
  readonly reach: AddressPolicy
  readonly signal: AbortSignal
  readonly observe?: ObserveExchange | undefined
}

const MAX_URL_CHARACTERS = 500

/** HTTP requests over kept-alive connections. Follows and retries nothing. */
export class Transport {
  readonly #connections: Connections
  readonly #identities: TlsIdentities
  readonly #proxies: Proxies
  readonly #now: () => number
  readonly #via: Readonly<Record<string, string>>

  /** @throws ResolveError CONFIG_INVALID for a proxy's address that is none */
  constructor({ now, ca, proxy, via, ...options }: TransportOptions) {
    this.#now = now
    this.#via = via === undefined ? {} : { via: `1.1 ${via}` }
    this.#proxies = new Proxies(proxy)
    this.#identities = new TlsIdentities(ca)
    this.#connections = new Connections(options)
  }

  async send({ url, endpoint, reach, headers, body, ...call }: Call): Promise<RegistryResponse> {
    const own = isOwn(url, endpoint)
    const tls = url.protocol === 'https:' ? endpoint.tls : undefined
    const identity = await this.#identities.identity(tls, endpoint.host, own)
    const proxy = this.#proxies.of(url)
    const report = this.#reporter(url, call)
    try {
      const pool = this.#connections.pool(url, { reach, identity, proxy })
      const answer = await pool.request({
        url,
        method: call.method,
        headers: {
          'user-agent': 'image-resolver',
          ...(own ? { ...lowerCase(endpoint), ...this.#via } : {}),
          ...headers,
        },
        body,
        signal: call.signal,
      })
      const reply = { status: answer.statusCode ?? 0, headers: answer.headers, body: answer }
      return { ...reply, ended: () => report(reply) }
    } catch (error) {
      report()
      throw error
    }
  }

  /** Keeps no connection any more. @returns when the last request has ended */
  retire(): Promise<void> {
    return this.#connections.retire()
  }

  /** Ends every connection, in-flight requests included. */
  close(): Promise<void> {
    return this.#connections.close()
  }

  #reporter(url: URL, { method, observe }: Pick<Call, 'method' | 'observe'>) {
    const startedAt = this.#now()
    let told = false
    return (reply?: Pick<RegistryResponse, 'status' | 'headers'>): void => {
      if (told) return
      told = true
      const rateLimit = reply && rateLimitOf(reply.headers)
      const warning = reply && (warningOf(reply.headers) ?? upgradeAdvice(url, reply))
      const exchange: Exchange = {
        method,
        url: `${url.origin}${url.pathname}`.slice(0, MAX_URL_CHARACTERS),
        ms: this.#now() - startedAt,
        ...(reply === undefined ? {} : { status: reply.status }),
        ...(rateLimit === undefined ? {} : { remaining: rateLimit.remaining }),
        ...(warning === undefined ? {} : { warning }),
      }
      observe?.(exchange, rateLimit)
    }
  }
}

/** Whether that is the registry itself, rather than where it sends us. */
export function isOwn(url: URL, endpoint: Endpoint): boolean {
  return url.origin === new URL(endpointUrl(endpoint)).origin
}

/** Ours come later and win, whatever case the operator wrote. */
function lowerCase({ headers = {} }: Endpoint): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
}
