import { Agent as PlainAgent } from 'node:http'
import type { LookupFunction } from 'node:net'
import { markFailed, markThrown, type Span, tracing } from '../../telemetry/tracing.ts'
import { type Endpoint, endpointUrl } from '../endpoint.ts'
import type { Exchange, ObserveExchange } from '../image.ts'
import { upgradeAdvice } from '../redirect.ts'
import { type RegistryResponse, rateLimitOf, warningOf } from '../response.ts'
import { type AddressPolicy, guardedLookup } from './address-policy.ts'
import { Pool, toAnswer } from './pool.ts'
import { Proxies, type ProxyOptions, TunnelAgent } from './proxy.ts'
import { https, TlsIdentities, type TlsIdentity } from './tls.ts'

export interface TransportOptions extends ConnectionOptions {
  /** Milliseconds. */
  readonly now: () => number
  /** A certificate authority (PEM) trusted beside the well-known ones. */
  readonly ca?: string
  readonly proxy?: ProxyOptions
  /** The name in `Via` (RFC 9110, 7.6.3), to registries alone. Default: no such header. */
  readonly via?: string
}

export interface Call {
  readonly url: URL
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** What comes may be large: it is streamed by the client that does so with less work. */
  readonly large?: boolean | undefined
  /** The registry that the request is for; its TLS settings and headers. */
  readonly endpoint: Endpoint
  readonly reach: AddressPolicy
  readonly signal: AbortSignal
  readonly observe?: ObserveExchange | undefined
  /** The server gets `traceparent`, where requests are traced: it is the operator's own. Default: no. */
  readonly propagate?: boolean | undefined
}

/** How long one request to a registry may take until its head, and how long the registry may be silent after it. */
export const ATTEMPT_TIMEOUT_MS = 10_000
const MAX_URL_CHARACTERS = 500

/** HTTP requests over kept-alive connections. Follows no redirects and retries nothing. */
export class Transport {
  readonly #pools: Pools
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
    this.#pools = new Pools(options)
  }

  async send({ url, endpoint, reach, headers, body, ...call }: Call): Promise<RegistryResponse> {
    const own = isOwn(url, endpoint)
    const tls = url.protocol === 'https:' ? endpoint.tls : undefined
    const identity = await this.#identities.identity(tls, endpoint.host, own)
    const proxy = this.#proxies.of(url)
    const { report, span } = this.#begin(url, call)
    try {
      const pool = this.#pools.pool(url, { reach, identity, proxy })
      const asked = {
        url,
        method: call.method,
        headers: {
          'user-agent': 'image-resolver',
          ...(own ? { ...lowerCase(endpoint), ...this.#via } : {}),
          ...(call.propagate ? tracing?.outgoing(span) : {}),
          ...headers,
        },
        body,
        signal: call.signal,
      }
      const reply = call.large ? await pool.stream(asked) : toAnswer(await pool.request(asked))
      return { ...reply, ended: () => report(reply) }
    } catch (error) {
      report(undefined, error)
      throw error
    }
  }

  /** Keeps no idle connection from now on. @returns when the last request has ended */
  retire(): Promise<void> {
    return this.#pools.retire()
  }

  /** Ends every connection, in-flight requests included. */
  close(): Promise<void> {
    return this.#pools.close()
  }

  #begin(url: URL, { method, observe }: Pick<Call, 'method' | 'observe'>) {
    const startedAt = this.#now()
    const shown = [url.origin, url.pathname].join('').slice(0, MAX_URL_CHARACTERS)
    const span = tracing?.start(method, {
      kind: 'client',
      attributes: {
        'http.request.method': method,
        'url.full': shown,
        'server.address': url.hostname,
        'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
      },
    })
    let told = false
    const report = (
      reply?: Pick<RegistryResponse, 'status' | 'headers'>,
      error?: unknown,
    ): void => {
      if (told) return
      told = true
      if (span !== undefined) endSpan(span, reply?.status, error)
      const rateLimit = reply && rateLimitOf(reply.headers)
      const warning = reply && (warningOf(reply.headers) ?? upgradeAdvice(url, reply))
      const exchange: Exchange = {
        method,
        url: shown,
        ms: this.#now() - startedAt,
        ...(reply === undefined ? {} : { status: reply.status }),
        ...(rateLimit === undefined ? {} : { remaining: rateLimit.remaining }),
        ...(warning === undefined ? {} : { warning }),
      }
      observe?.(exchange, rateLimit)
    }
    return { report, span }
  }
}

function endSpan(span: Span, status: number | undefined, error: unknown): void {
  if (status === undefined) markThrown(span, error)
  else span.setAttribute('http.response.status_code', status)
  // A challenge is part of asking, and a registry without the image no fault.
  if (status !== undefined && status >= 400 && status !== 401 && status !== 404) {
    markFailed(span, String(status))
  }
  span.end()
}

/** Whether a URL is the registry itself, and not its token service or the target of a redirect. */
export function isOwn(url: URL, endpoint: Endpoint): boolean {
  const own = endpointUrl(endpoint)
  return url.origin === own || url.origin === new URL(own).origin
}

/** In lower case, so that our own headers, which come later, replace them. */
function lowerCase({ headers = {} }: Endpoint): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
}

export interface ConnectionOptions {
  /** Limit of one connection attempt; default 5000. */
  readonly connectTimeoutMs?: number
  /** Limit of silence before and within an answer; default 10000. */
  readonly silenceTimeoutMs?: number
}

/** Connections are shared only by requests with the same route. */
export interface Route {
  readonly reach: AddressPolicy
  readonly identity: TlsIdentity
  readonly proxy: URL | undefined
}

type Options = Required<ConnectionOptions>

/**
 * Per host: 16 for the requests of RegistryQueue, 16 for their tokens, and 256 for blobs, the most that `mirror.blobs` takes.
 */
const MAX_CONNECTIONS = 288
/** Of these that are kept idle. */
const MAX_IDLE = 32
/** Of an idle connection: less than the 5 s after which some servers close it. */
const IDLE_MS = 4_000
/** A renewed certificate makes a new one; the oldest ones are retired. */
const MAX_POOLS = 64

/** Kept-alive connections, a pool for each route. */
export class Pools {
  readonly #options: Options
  /** The most recently used last. */
  readonly #pools = new Map<string, Pool>()
  readonly #leaving = new Set<Pool>()
  #closed = false

  constructor({
    connectTimeoutMs = 5_000,
    silenceTimeoutMs = ATTEMPT_TIMEOUT_MS,
  }: ConnectionOptions) {
    this.#options = { connectTimeoutMs, silenceTimeoutMs }
  }

  pool({ protocol }: URL, route: Route): Pool {
    const { reach, identity, proxy } = route
    const way = proxy === undefined ? reach : `${reach} through ${proxy.href}`
    const key = `${protocol} ${way} ${identity.key}`
    const pool = this.#pools.get(key) ?? createPool(protocol, route, this.#options)
    // Destroyed, it refuses requests: a connection opened now would never be closed.
    if (this.#closed) pool.destroy()
    this.#pools.delete(key)
    this.#pools.set(key, pool)
    this.#retire()
    return pool
  }

  /** Keeps no idle connection from now on. @returns when the last request has ended */
  async retire(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#leaving]
    await Promise.all(pools.map((pool) => pool.retire()))
  }

  /** Ends every connection, in-flight requests included. */
  async close(): Promise<void> {
    this.#closed = true
    for (const pool of [...this.#pools.values(), ...this.#leaving]) pool.destroy()
  }

  /** Requests in flight on the oldest pools end by themselves. */
  #retire(): void {
    for (const [key, pool] of this.#pools) {
      if (this.#pools.size <= MAX_POOLS) return
      this.#pools.delete(key)
      this.#leaving.add(pool)
      void pool.retire().then(() => this.#leaving.delete(pool))
    }
  }
}

function createPool(protocol: string, { reach, identity, proxy }: Route, options: Options): Pool {
  const tls = {
    rejectUnauthorized: identity.verify,
    ...(identity.context === undefined ? {} : { secureContext: identity.context }),
  }
  const { connectTimeoutMs } = options
  if (proxy !== undefined && protocol === 'https:') {
    const tunnel = { ...keeping(undefined), ...tls, proxy, connectTimeoutMs }
    const agent = new TunnelAgent(tunnel)
    const singleUse = new TunnelAgent({ ...tunnel, keepAlive: false })
    return new Pool({ ...options, agent, singleUse, isTls: true, reach, proxy })
  }
  const isTls = (proxy?.protocol ?? protocol) === 'https:'
  const kept = keeping(proxy === undefined ? guardedLookup(reach) : undefined)
  const agentOf = (keepAlive: boolean) =>
    isTls
      ? new (https().Agent)({ ...kept, keepAlive, ...(proxy === undefined ? tls : {}) })
      : new PlainAgent({ ...kept, keepAlive })
  return new Pool({
    ...options,
    agent: agentOf(true),
    singleUse: agentOf(false),
    isTls,
    reach,
    proxy,
  })
}

function keeping(lookup: LookupFunction | undefined) {
  return {
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS,
    maxFreeSockets: MAX_IDLE,
    timeout: IDLE_MS,
    // Node's default of 250 ms for an address is too short for a slow network.
    autoSelectFamilyAttemptTimeout: 1_000,
    ...(lookup === undefined ? {} : { lookup }),
  }
}
