import { Agent as PlainAgent, request as requestPlain } from 'node:http'
import { Agent, type AgentOptions, type RequestOptions, request as requestTls } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { timedOut } from '../failure.ts'
import { bareHost, proxyAuthorization } from './proxy.ts'

export interface TunnelOptions extends AgentOptions {
  /** Asked for a tunnel to each host. */
  readonly proxy: URL
  /** Limit of a tunnel and the TLS within it, together. */
  readonly connectTimeoutMs: number
}

interface Destroyable {
  destroy(error?: Error): unknown
}

/** Connections for https through CONNECT of an HTTP proxy (RFC 9110, 9.3.6). */
export class TunnelAgent extends Agent {
  readonly #options: TunnelOptions
  readonly #way: PlainAgent
  readonly #opening = new Set<Destroyable>()

  constructor(options: TunnelOptions) {
    super(options)
    this.#options = options
    const { autoSelectFamilyAttemptTimeout } = options
    const way = { ...(autoSelectFamilyAttemptTimeout && { autoSelectFamilyAttemptTimeout }) }
    this.#way = options.proxy.protocol === 'https:' ? new Agent(way) : new PlainAgent(way)
  }

  override createConnection(
    target: RequestOptions,
    done: (error: Error | null, socket: Duplex) => void = () => {},
  ): undefined {
    this.#open(target).then(
      (socket) => done(null, socket),
      // The types know no socket that is not there.
      (error: Error) => done(error, undefined as never),
    )
  }

  override destroy(): void {
    for (const each of this.#opening) each.destroy(new Error('closed'))
    super.destroy()
  }

  #open({ host, port, servername }: RequestOptions): Promise<TLSSocket> {
    const { connectTimeoutMs, proxy, rejectUnauthorized, secureContext } = this.#options
    const authority = `${host?.includes(':') ? `[${host}]` : host}:${port ?? 443}`
    return new Promise((resolve, reject) => {
      const send = proxy.protocol === 'https:' ? requestTls : requestPlain
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
        const tls = connect({
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
