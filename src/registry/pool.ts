import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as requestPlain,
} from 'node:http'
import { request as requestTls } from 'node:https'
import type { Socket } from 'node:net'
import { ConnectFailure, timedOut } from './failure.ts'
import { literalRefusal, type Reach } from './guard.ts'
import { bareHost, proxyAuthorization } from './proxy.ts'

export interface PoolOptions {
  readonly agent: Agent
  /** Whether the agent's connections are TLS. */
  readonly isTls: boolean
  readonly reach: Reach
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

/** HTTP/1.1 over kept-alive connections that may be shared: one request, one answer. */
export class Pool {
  readonly #options: PoolOptions
  readonly #underWay = new Set<Stop>()
  #emptied: (() => void) | undefined
  #retired: Promise<void> | undefined
  #destroyed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /**
   * @returns the answer's head; its body has to be read or destroyed. Its errors are told to who reads
   * it, and to nobody else
   * @throws ConnectFailure before a connection stands; ETIMEDOUT after silence; what Node throws else
   */
  async request(asked: PoolRequest): Promise<IncomingMessage> {
    if (this.#destroyed) throw new Error('closed')
    asked.signal.throwIfAborted()
    const refused = literalRefusal(bareHost(asked.url.hostname), this.#options.reach)
    if (refused !== undefined) throw new ConnectFailure(refused)
    return this.#exchange(asked)
  }

  /** Keeps no connection any more. @returns when the last request has ended */
  retire(): Promise<void> {
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
    void this.retire()
    this.#options.agent.destroy()
  }

  #exchange({ body, signal, ...asked }: PoolRequest): Promise<IncomingMessage> {
    const send = this.#options.isTls ? requestTls : requestPlain
    return new Promise((resolve, reject) => {
      const request = send(this.#toOptions(asked))
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
      request.on('error', (error) => reject(stands() ? error : this.#noConnection(error)))
      request.once('response', (response) => {
        answer = response
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
    const { connectTimeoutMs, isTls } = this.#options
    let stands = false
    request.once('socket', (socket: Socket) => {
      stands = !socket.connecting
      if (stands) return
      const timer = setTimeout(() => {
        stop(this.#noConnection(timedOut(`no connection within ${connectTimeoutMs} ms`)))
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

  #noConnection(cause: Error): ConnectFailure {
    const { proxy } = this.#options
    if (cause instanceof ConnectFailure) return cause
    return new ConnectFailure(cause, proxy === undefined ? '' : `the proxy ${proxy.host}: `)
  }

  #toOptions({ url, method, headers }: Omit<PoolRequest, 'body' | 'signal'>): RequestOptions {
    const { agent, proxy, silenceTimeoutMs: timeout } = this.#options
    const common = { agent, method, timeout }
    const path = `${url.pathname}${url.search}`
    // Proxies open tunnels to port 443 and few others; for http they want the whole URL instead.
    if (proxy !== undefined && url.protocol === 'http:') {
      const whole = { host: url.host, ...proxyAuthorization(proxy), ...headers }
      return { ...common, ...placeOf(proxy), headers: whole, path: `${url.origin}${path}` }
    }
    return { ...common, ...placeOf(url), headers, path }
  }
}

/** Node's DNS and TLS know no brackets. */
function placeOf({ hostname, port, protocol }: URL): RequestOptions {
  return { protocol, host: hostname.replace(/^\[|\]$/g, ''), port: port || null }
}
