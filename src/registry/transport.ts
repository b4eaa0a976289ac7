import { rootCertificates } from 'node:tls'
import { Agent } from 'undici'
import { ConnectFailure } from './failure.ts'
import { guardedConnector, type Reach } from './guard.ts'
import type { Reply } from './reply.ts'

export interface TransportOptions {
  /** Limit of one connection attempt; default 5000. */
  readonly connectTimeoutMs?: number
  /** Limit of silence before and within an answer; default 10000. */
  readonly silenceTimeoutMs?: number
  /** A certificate authority (PEM) trusted beside the well-known ones. */
  readonly ca?: string
}

export interface Call {
  readonly url: URL
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly reach: Reach
  readonly signal: AbortSignal
}

/** Per host. A thousand callers do not make a thousand connections. */
const MAX_CONNECTIONS = 32
const MAX_DISCARDED_BYTES = 64 * 1024

/** HTTP requests over kept-alive connections, one pool for each reach. Follows and retries nothing. */
export class Transport {
  readonly #agents: Record<Reach, Agent>

  constructor(options: TransportOptions = {}) {
    this.#agents = {
      anywhere: createAgent('anywhere', options),
      site: createAgent('site', options),
      public: createAgent('public', options),
    }
  }

  async send({ url, method, headers, body, reach, signal }: Call): Promise<Reply> {
    const { statusCode, ...answer } = await this.#agents[reach].request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { 'user-agent': 'image-resolver', ...headers },
      body: body ?? null,
      // undici closes the connection after each HEAD by default, and revalidation is all HEADs.
      reset: false,
      signal,
    })
    return { status: statusCode, headers: answer.headers, body: answer.body }
  }

  /** Ends every connection, in-flight requests included. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#agents).map((agent) => agent.destroy()))
  }
}

/** Frees the connection: reads a short rest, closes on a long one. */
export async function discard({ body }: Reply): Promise<void> {
  // The answer's head has been read already; what breaks in the rest is of no interest.
  await body.dump({ limit: MAX_DISCARDED_BYTES }).catch(() => {})
}

function createAgent(reach: Reach, options: TransportOptions): Agent {
  const { connectTimeoutMs = 5_000, silenceTimeoutMs = 10_000, ca } = options
  const connect = guardedConnector(reach, {
    timeout: connectTimeoutMs,
    // Node gives up on an address after 250 ms by default, too early for a slow line.
    autoSelectFamilyAttemptTimeout: 1_000,
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
  })
  return new Agent({
    connections: MAX_CONNECTIONS,
    headersTimeout: silenceTimeoutMs,
    bodyTimeout: silenceTimeoutMs,
    connect: (target, callback) =>
      connect(target, (error, socket) =>
        error === null ? callback(null, socket) : callback(new ConnectFailure(error), null),
      ),
  })
}
