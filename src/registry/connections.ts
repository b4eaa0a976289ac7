import { isIP } from 'node:net'
import { Agent, type buildConnector, type Dispatcher, Pool, ProxyAgent } from 'undici'
import { ConnectFailure } from './failure.ts'
import { AddressRefused, guardedConnector, isRefused, type Reach } from './guard.ts'
import { bareHost } from './proxy.ts'
import type { TlsIdentity } from './tls.ts'

export interface ConnectionOptions {
  /** Limit of one connection attempt; default 5000. */
  readonly connectTimeoutMs?: number
  /** Limit of silence before and within an answer; default 10000. */
  readonly silenceTimeoutMs?: number
}

/** What tells connections apart that may not be shared. */
export interface Route {
  readonly reach: Reach
  readonly identity: TlsIdentity
  readonly proxy: URL | undefined
}

type Options = Required<ConnectionOptions>

/** Per host. A thousand callers do not make a thousand connections. */
const MAX_CONNECTIONS = 32
/** A certificate that is renewed makes a new one; the old ones go. */
const MAX_POOLS = 64

/** Kept-alive connections, a pool for each route. */
export class Connections {
  readonly #options: Options
  /** The one that was used last stands last. */
  readonly #pools = new Map<string, Dispatcher>()
  readonly #leaving = new Set<Dispatcher>()
  #closed = false

  constructor({ connectTimeoutMs = 5_000, silenceTimeoutMs = 10_000 }: ConnectionOptions) {
    this.#options = { connectTimeoutMs, silenceTimeoutMs }
  }

  /** @throws AddressRefused when a proxy would be asked for an address that is out of reach */
  pool(url: URL, { reach, identity, proxy }: Route): Dispatcher {
    if (proxy !== undefined) refuseLiteral(url, reach)
    const way = proxy === undefined ? reach : `through ${proxy.href}`
    const key = `${way} ${identity.key}`
    const pool = this.#pools.get(key) ?? createPool({ reach, identity, proxy }, this.#options)
    // Refuses what is asked of it; nothing is opened any more that nobody would close.
    if (this.#closed) void pool.destroy()
    this.#pools.delete(key)
    this.#pools.set(key, pool)
    this.#retire()
    return pool
  }

  /** Ends every connection, in-flight requests included. */
  async close(): Promise<void> {
    this.#closed = true
    const all = [...this.#pools.values(), ...this.#leaving]
    await Promise.all(all.map((pool) => pool.destroy()))
  }

  /** What is in flight on the oldest ends by itself. */
  #retire(): void {
    for (const [key, pool] of this.#pools) {
      if (this.#pools.size <= MAX_POOLS) return
      this.#pools.delete(key)
      this.#leaving.add(pool)
      void pool.close().finally(() => this.#leaving.delete(pool))
    }
  }
}

/**
 * Who connects is the proxy then, and what a name leads to is its to look up and to allow. What can
 * be seen from here is refused here. (Loopback never gets this far: no proxy is used for it.)
 */
function refuseLiteral(url: URL, reach: Reach): void {
  const host = bareHost(url.hostname)
  if (isIP(host) !== 0 && isRefused(host, reach)) {
    throw new ConnectFailure(
      new AddressRefused(`${host} is a private or local address, which no proxy is asked for`),
    )
  }
}

function createPool({ reach, identity, proxy }: Route, options: Options): Dispatcher {
  const { connectTimeoutMs, silenceTimeoutMs } = options
  const connecting = {
    timeout: connectTimeoutMs,
    // Node gives up on an address after 250 ms by default, too early for a slow line.
    autoSelectFamilyAttemptTimeout: 1_000,
  }
  const tls = {
    rejectUnauthorized: identity.verify,
    ...(identity.context === undefined ? {} : { secureContext: identity.context }),
  }
  const limits = {
    connections: MAX_CONNECTIONS,
    headersTimeout: silenceTimeoutMs,
    bodyTimeout: silenceTimeoutMs,
  }
  if (proxy === undefined) {
    const connect = guardedConnector(reach, { ...connecting, ...tls })
    return new Agent({ ...limits, connect: marked(connect, '') })
  }
  const hop = `the proxy ${proxy.host}: `
  return new ProxyAgent({
    ...limits,
    uri: proxy.href,
    // Proxies open tunnels to port 443 and few others; for http they want the whole URL instead.
    proxyTunnel: false,
    proxyTls: connecting,
    requestTls: { ...connecting, ...tls },
    factory: (origin, given) => {
      const { connect } = given as { connect: buildConnector.connector }
      return new Pool(origin, { ...limits, connect: marked(connect, hop) })
    },
  })
}

/** So that what happens before a connection stands can be told from what happens on it. */
function marked(connect: buildConnector.connector, hop: string): buildConnector.connector {
  return (target, callback) =>
    connect(target, (error, socket) => {
      if (error === null) callback(null, socket)
      else callback(new ConnectFailure(error, hop), null)
    })
}
