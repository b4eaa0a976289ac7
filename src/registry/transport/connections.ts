import { Agent as PlainAgent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import type { LookupFunction } from 'node:net'
import { type AddressPolicy, guardedLookup } from './address-policy.ts'
import { Pool } from './pool.ts'
import type { TlsIdentity } from './tls.ts'
import { TunnelAgent } from './tunnel.ts'

export interface ConnectionOptions {
  /** Limit of one connection attempt; default 5000. */
  readonly connectTimeoutMs?: number
  /** Limit of silence before and within an answer; default 10000. */
  readonly silenceTimeoutMs?: number
}

/** What tells connections apart that may not be shared. */
export interface Route {
  readonly reach: AddressPolicy
  readonly identity: TlsIdentity
  readonly proxy: URL | undefined
}

type Options = Required<ConnectionOptions>

/**
 * Per host: the 16 requests of RequestQueue, their token services, and as many blobs as `mirror.blobs` can
 * allow, which stay for long. A thousand callers do not make a thousand connections.
 */
const MAX_CONNECTIONS = 288
/** Of these that are kept for the next question. */
const MAX_IDLE = 32
/** Of one that nobody uses: less than the 5 s after which the most impatient servers close it. */
const IDLE_MS = 4_000
/** A certificate that is renewed makes a new one; the old ones go. */
const MAX_POOLS = 64

/** Kept-alive connections, a pool for each route. */
export class Connections {
  readonly #options: Options
  /** The one that was used last stands last. */
  readonly #pools = new Map<string, Pool>()
  readonly #leaving = new Set<Pool>()
  #closed = false

  constructor({ connectTimeoutMs = 5_000, silenceTimeoutMs = 10_000 }: ConnectionOptions) {
    this.#options = { connectTimeoutMs, silenceTimeoutMs }
  }

  pool({ protocol }: URL, route: Route): Pool {
    const { reach, identity, proxy } = route
    const way = proxy === undefined ? reach : `${reach} through ${proxy.href}`
    const key = `${protocol} ${way} ${identity.key}`
    const pool = this.#pools.get(key) ?? createPool(protocol, route, this.#options)
    // Refuses what is asked of it; nothing is opened any more that nobody would close.
    if (this.#closed) pool.destroy()
    this.#pools.delete(key)
    this.#pools.set(key, pool)
    this.#retire()
    return pool
  }

  /** Keeps no connection any more. @returns when the last request has ended */
  async retire(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#leaving]
    await Promise.all(pools.map((pool) => pool.retire()))
  }

  /** Ends every connection, in-flight requests included. */
  async close(): Promise<void> {
    this.#closed = true
    for (const pool of [...this.#pools.values(), ...this.#leaving]) pool.destroy()
  }

  /** What is in flight on the oldest ends by itself. */
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
      ? new TlsAgent({ ...kept, keepAlive, ...(proxy === undefined ? tls : {}) })
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
    // Node gives up on an address after 250 ms by default, too early for a slow line.
    autoSelectFamilyAttemptTimeout: 1_000,
    ...(lookup === undefined ? {} : { lookup }),
  }
}
