import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as requestPlain,
} from 'node:http'
import type { Socket } from 'node:net'
import { LRUCache } from 'lru-cache'
import { ConnectFailure, connectFailure, timedOut } from '../registry-failure.ts'
import type { Content } from '../response.ts'
import { type AddressPolicy, literalRefusal } from './address-policy.ts'
import { bareHost, proxyAuthorization } from './proxy.ts'
import type { StreamingClient } from './streaming-client.ts'
import { https } from './tls.ts'

export interface PoolOptions {
  readonly agent: Agent
  /** One connection for each request, for answers that are read leniently. */
  readonly singleUse: Agent
  /** Whether the agent's connections are TLS. */
  readonly isTls: boolean
  readonly reach: AddressPolicy
  readonly proxy: URL | undefined
  readonly connectTimeoutMs: number
  readonly silenceTimeoutMs: number
}

export interface PoolRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Ends the request, and the body that came of it. */
  readonly signal: AbortSignal
}

type Stop = (error: Error) => void

/**
 * Go's client, which registries are tried with, reads 10 MiB; Node's default of 16 KiB is less than
 * what single sign-on and security policies in front of registries send.
 */
const MAX_HEADER_BYTES = 256 * 1024
const LENIENT_MS = 3_600_000
const MAX_LENIENT_HOSTS = 1_000

/**
 * Mistakes of HTTP/1.1 that Go reads over, and so does Node's parser when told to be lenient: lines that
 * end in LF alone, folded headers, Content-Length beside Transfer-Encoding, blanks behind the
 * size of a chunk, HTTP/1.2.
 */
const FORGIVEN: ReadonlySet<string> = new Set([
  'HPE_CR_EXPECTED',
  'HPE_INVALID_CHUNK_SIZE',
  'HPE_INVALID_CONTENT_LENGTH',
  'HPE_INVALID_HEADER_TOKEN',
  'HPE_INVALID_TRANSFER_ENCODING',
  'HPE_INVALID_VERSION',
])

/** HTTP/1.1 over kept-alive connections that may be shared: one request, one answer. */
export class Pool {
  readonly #options: PoolOptions
  readonly #underWay = new Set<Stop>()
  /** Hosts of which answers are read leniently. */
  readonly #lenient = new LRUCache<string, true>({ max: MAX_LENIENT_HOSTS, ttl: LENIENT_MS })
  #emptied: (() => void) | undefined
  #retired: Promise<void> | undefined
  #isRetired = false
  #streaming: StreamingClient | undefined
  #destroyed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /**
   * @returns the answer's head; its body has to be read or destroyed. Its errors reach
   * its reader alone. An answer with a mistake that other clients accept is asked for once more and read
   * leniently, on a connection of its own: what such an answer leaves on its connection
   * must not be taken for the next one
   * @throws ConnectFailure before a connection stands; ETIMEDOUT after silence; what Node throws else
   */
  async request(asked: PoolRequest): Promise<IncomingMessage> {
    this.#check(asked)
    if (this.#isLenientWith(asked.url)) return this.#exchange(asked, true)
    try {
      return await this.#exchange(asked, false)
    } catch (error) {
      // A form that was sent may have done something already.
      if (asked.method === 'POST' || !this.#isLenientWith(asked.url)) throw error
      asked.signal.throwIfAborted()
      return this.#exchange(asked, true)
    }
  }

  /**
   * As request(), for a large body: over undici, which hands it on with less work. An answer that its parser
   * refuses is asked for once more by Node's, which may be lenient, and says what is wrong.
   */
  async stream(asked: PoolRequest): Promise<Content> {
    const { StreamingClient, gathered } = await import('./streaming-client.ts')
    this.#check(asked)
    if (this.#isRetired || this.#isLenientWith(asked.url)) {
      return gathered(toAnswer(await this.request(asked)))
    }
    this.#streaming ??= new StreamingClient({ ...this.#options, maxHeaderBytes: MAX_HEADER_BYTES })
    const { url, method, signal } = asked
    const malformed = (): void => void this.#lenient.set(url.host, true)
    const answer = await this.#streaming.request({
      ...this.#target(asked),
      url,
      method,
      signal,
      malformed,
    })
    return answer ?? gathered(toAnswer(await this.request(asked)))
  }

  /** Keeps no connection any more. @returns when the last request has ended */
  async retire(): Promise<void> {
    this.#isRetired = true
    await Promise.all([this.#retireAgent(), this.#streaming?.retire()])
  }

  #retireAgent(): Promise<void> {
    const { agent } = this.#options
    agent.maxFreeSockets = 0
    for (const idle of Object.values(agent.freeSockets).flat()) idle?.destroy()
    if (this.#underWay.size === 0) return Promise.resolve()
    this.#retired ??= new Promise((resolve) => {
      this.#emptied = resolve
    })
    return this.#retired
  }

  /** Ends every connection, and what is under way on it. */
  destroy(): void {
    this.#destroyed = true
    for (const stop of [...this.#underWay]) stop(new Error('closed'))
    this.#streaming?.destroy()
    void this.#retireAgent()
    this.#options.agent.destroy()
    this.#options.singleUse.destroy()
  }

  #check({ signal, url }: PoolRequest): void {
    if (this.#destroyed) throw new Error('closed')
    signal.throwIfAborted()
    const refused = literalRefusal(bareHost(url.hostname), this.#options.reach)
    if (refused !== undefined) throw new ConnectFailure(refused)
  }

  #isLenientWith({ host }: URL): boolean {
    return this.#lenient.has(host)
  }

  #exchange({ body, signal, ...asked }: PoolRequest, lenient: boolean): Promise<IncomingMessage> {
    const send = this.#options.isTls ? https().request : requestPlain
    return new Promise((resolve, reject) => {
      const request = send(this.#toOptions(asked, lenient))
      // Headers beyond a number are left out without an error; their bytes are bounded.
      request.maxHeadersCount = 0
      let answer: IncomingMessage | undefined
      const stop: Stop = (error) => {
        reject(error)
        // Destroyed itself, a request that was answered would end its body without an error.
        const ending = answer ?? request
        ending.destroy(error)
      }
      const leave = (): void => stop(signal.reason as Error)
      signal.addEventListener('abort', leave, { once: true })
      this.#underWay.add(stop)
      const stands = this.#connecting(request, stop)
      this.#limitSilence(request, (error) => {
        // What came and was not taken yet is not the registry's silence.
        if (stands() && (answer?.readableLength ?? 0) === 0) stop(error)
      })
      request.on('error', (error) => {
        // In the middle of a body it is too late for this one, and in time for the next.
        if ('code' in error && FORGIVEN.has(String(error.code))) {
          this.#lenient.set(asked.url.host, true)
        }
        reject(stands() ? error : connectFailure(error, this.#options.proxy))
      })
      request.once('response', (response) => {
        answer = response
        // Chunks are what was read; told on, the length would have another reader take the rest for the next answer.
        if ('transfer-encoding' in response.headers) delete response.headers['content-length']
        response.on('error', () => {})
        resolve(response)
      })
      request.once('close', () => {
        signal.removeEventListener('abort', leave)
        this.#underWay.delete(stop)
        if (this.#underWay.size === 0) this.#emptied?.()
        reject(new Error('closed without an answer'))
      })
      request.end(body)
    })
  }

  /** @returns whether a connection stands. Through a tunnel it is handed over when it does */
  #connecting(request: ClientRequest, stop: Stop): () => boolean {
    const { connectTimeoutMs, isTls, proxy } = this.#options
    let stands = false
    request.once('socket', (socket: Socket) => {
      stands = !socket.connecting
      if (stands) return
      const timer = setTimeout(() => {
        stop(connectFailure(timedOut(`no connection within ${connectTimeoutMs} ms`), proxy))
      }, connectTimeoutMs)
      request.once('close', () => clearTimeout(timer))
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        stands = true
        clearTimeout(timer)
      })
    })
    return () => stands
  }

  #limitSilence(request: ClientRequest, onSilence: Stop): void {
    const { silenceTimeoutMs } = this.#options
    request.once('socket', (socket: Socket) => {
      const listen = (): void => {
        onSilence(timedOut(`silent for ${silenceTimeoutMs} ms`))
        // The clock stands still then until something comes.
        socket.setTimeout(silenceTimeoutMs)
      }
      // The request itself would tell of the first time alone.
      socket.on('timeout', listen)
      request.once('close', () => socket.off('timeout', listen))
    })
  }

  #toOptions(
    { url, method, headers: given }: Omit<PoolRequest, 'body' | 'signal'>,
    lenient: boolean,
  ): RequestOptions {
    const { agent, proxy, silenceTimeoutMs: timeout, singleUse } = this.#options
    // The agent alone would go on with a connection while others wait for one.
    const headers = lenient ? { ...given, connection: 'close' } : given
    const common = {
      agent: lenient ? singleUse : agent,
      method,
      timeout,
      maxHeaderSize: MAX_HEADER_BYTES,
      insecureHTTPParser: lenient,
    }
    const place = url.protocol === 'http:' ? (proxy ?? url) : url
    return { ...common, ...placeOf(place), ...this.#target({ url, headers }) }
  }

  /** Proxies open tunnels to port 443 and few others; for http they want the whole URL instead. */
  #target({ url, headers }: Pick<PoolRequest, 'url' | 'headers'>) {
    const { proxy } = this.#options
    const path = `${url.pathname}${url.search}`
    if (proxy === undefined || url.protocol !== 'http:') return { headers, path }
    const whole = { host: url.host, ...proxyAuthorization(proxy), ...headers }
    return { headers: whole, path: `${url.origin}${path}` }
  }
}

export function toAnswer(message: IncomingMessage): Content {
  return { status: message.statusCode ?? 0, headers: message.headers, body: message }
}

/** Node's DNS and TLS know no brackets. */
function placeOf({ hostname, port, protocol }: URL): RequestOptions {
  return { protocol, host: hostname.replace(/^\[|\]$/g, ''), port: port || null }
}
