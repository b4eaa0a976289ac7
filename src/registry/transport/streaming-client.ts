import type { Agent as NodeAgent, RequestOptions } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'
import { connectFailure, timedOut } from '../registry-failure.ts'
import type { Content } from '../response.ts'
import { bareHost } from './proxy.ts'
import { ReadBuffers } from './read-buffers.ts'

export interface StreamingOptions {
  /** Opens the connections, each under the guards of its route. */
  readonly agent: NodeAgent
  /** Whether the agent's connections are TLS. */
  readonly isTls: boolean
  /** Where they lead instead of to the host itself; a tunnel's agent sees to that by itself. */
  readonly proxy: URL | undefined
  readonly connectTimeoutMs: number
  readonly silenceTimeoutMs: number
  readonly maxHeaderBytes: number
}

export interface StreamingRequest {
  readonly url: URL
  /** The whole URL where a proxy wants that. */
  readonly path: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  /** Ends the request, and the body that came of it. */
  readonly signal: AbortSignal
  /** Hears of a body that is no HTTP. */
  readonly malformed: () => void
}

interface Target {
  readonly hostname: string
  readonly port: string
  readonly protocol: string
}

type Connected = (...outcome: [null, Socket] | [Error, null]) => void

/** How long an idle connection is kept, as the node agents do. */
const IDLE_MS = 4_000
/** Of one body, before its connection waits: what one read of a socket gives. */
const BUFFERED_BYTES = 64 * 1024
/** Smaller pieces are put together: each takes some 200 bytes beside its own, and keeps the whole read that it is a part of. */
const WORTH_BYTES = 4 * 1024

/** A length that contradicts the chunks is told as a mismatch, before there was any body. */
function isMalformed(error: Error, hasBody: boolean): boolean {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return !hasBody
  return error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW'
}

/**
 * HTTP/1.1 for large bodies, over undici: it hands on what comes with less work than Node's client.
 * The connections are those of a node agent, so that addresses, TLS and proxies are checked and chosen
 * in one place.
 */
export class StreamingClient {
  readonly #options: StreamingOptions
  readonly #agent: Agent
  readonly #buffers: ReadBuffers
  readonly #connecting = new Set<Socket>()
  #retired: Promise<void> | undefined

  constructor(options: StreamingOptions) {
    const { maxHeaderBytes, silenceTimeoutMs } = options
    this.#options = options
    this.#buffers = new ReadBuffers(options)
    this.#agent = new Agent({
      allowH2: false,
      pipelining: 1,
      connections: options.agent.maxSockets,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MS,
      headersTimeout: silenceTimeoutMs,
      bodyTimeout: silenceTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
      connect: (target, done) => this.#connect(target, done),
    })
  }

  /**
   * @returns undefined: its parser takes the answer for no HTTP
   * @throws ConnectFailure before a connection stands; ETIMEDOUT after silence; ECONNRESET when it is broken off
   */
  request(request: StreamingRequest): Promise<Content | undefined> {
    const { url, signal, malformed, ...asked } = request
    return new Promise((resolve, reject) => {
      let controller: Dispatcher.DispatchController | undefined
      let body: StreamedBody | undefined
      const leave = (): void => {
        const reason = signal.reason as Error
        reject(reason)
        // Not yet sent, it has no controller: it is ended when it gets one.
        if (body === undefined) controller?.abort(reason)
        else body.destroy(reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#agent.dispatch(
        { ...asked, origin: url.origin, method: asked.method as Dispatcher.HttpMethod },
        {
          onRequestStart(given) {
            controller = given
            if (signal.aborted) given.abort(signal.reason as Error)
          },
          onResponseStart(given, status, headers) {
            if (status < 200) return
            // Chunks are what was read; told on, the length would have another reader take the rest for the next answer.
            if ('transfer-encoding' in headers) delete headers['content-length']
            body = new StreamedBody(given)
            resolve({ status, headers, body })
          },
          onResponseData(given, chunk) {
            if (body?.receive(chunk) === false) given.pause()
          },
          onResponseEnd() {
            signal.removeEventListener('abort', leave)
            body?.finish()
          },
          onResponseError: (_given, thrown) => {
            signal.removeEventListener('abort', leave)
            const error = this.#translate(thrown)
            if (isMalformed(thrown, body !== undefined)) {
              if (body === undefined) resolve(undefined)
              else malformed()
            }
            reject(error)
            body?.destroy(error)
          },
        },
      )
    })
  }

  /** Takes no more requests. @returns when the last one has ended, its body included */
  retire(): Promise<void> {
    this.#retired ??= this.#agent.close()
    return this.#retired
  }

  /** Ends every connection, and what is under way on it. */
  destroy(): void {
    for (const socket of this.#connecting) socket.destroy(new Error('closed'))
    void this.#agent.destroy(new Error('closed'))
  }

  #connect(target: Target, done: Connected): void {
    const { agent, connectTimeoutMs, isTls, proxy } = this.#options
    let current: Socket | undefined
    const settle = (error: Error | null, socket?: Socket): void => {
      clearTimeout(timer)
      if (current !== undefined) this.#connecting.delete(current)
      if (socket === undefined) {
        done(connectFailure(error ?? new Error('closed'), proxy), null)
        return
      }
      this.#buffers.serve(socket)
      done(null, socket)
    }
    const timer = setTimeout(() => {
      const late = timedOut(`no connection within ${connectTimeoutMs} ms`)
      if (current === undefined) settle(late)
      else current.destroy(late)
    }, connectTimeoutMs)
    const guards = (agent as unknown as { readonly options: object }).options
    const own = { timeout: 0, onread: this.#buffers.onread(), ...this.#placeOf(target) }
    const options = { ...guards, ...own }
    // A tunnel is handed over when it stands, and has limits of its own; Node's other agents tell here that theirs is connected.
    const opened = agent.createConnection(options, (error, socket) => {
      if (current === undefined) settle(error, socket as Socket)
    })
    if (!opened) return
    current = opened as Socket
    this.#connecting.add(current)
    current.once('error', settle)
    current.once(isTls ? 'secureConnect' : 'connect', () => {
      current?.off('error', settle)
      settle(null, current)
    })
  }

  #placeOf({ hostname, port, protocol }: Target): RequestOptions {
    const { isTls, proxy } = this.#options
    const place =
      proxy !== undefined && protocol === 'http:'
        ? { host: bareHost(proxy.hostname), port: proxy.port }
        : { host: hostname, port }
    return {
      host: place.host,
      port: place.port || (isTls ? 443 : 80),
      ...(isTls && { servername: isIP(place.host) === 0 ? place.host : '' }),
    }
  }

  #translate(thrown: Error): Error {
    const { silenceTimeoutMs } = this.#options
    switch ((thrown as NodeJS.ErrnoException).code) {
      case 'UND_ERR_HEADERS_TIMEOUT':
      case 'UND_ERR_BODY_TIMEOUT':
        return timedOut(`silent for ${silenceTimeoutMs} ms`)
      case 'UND_ERR_SOCKET':
      case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
        return Object.assign(new Error('aborted', { cause: thrown }), { code: 'ECONNRESET' })
      default:
        return thrown
    }
  }
}

/** The same answer of Node's client, with its body in pieces as those of undici. */
export function gathered({ body: source, ...head }: Content): Content {
  const body = new StreamedBody({
    resume: () => void source.resume(),
    abort: (reason) => void source.destroy(reason),
  })
  source.on('data', (chunk: Buffer) => {
    if (!body.receive(chunk)) source.pause()
  })
  source.once('end', () => body.finish())
  source.once('error', (error) => body.destroy(error))
  return { ...head, body }
}

/** Takes as much as it has room for; the connection waits meanwhile. */
class StreamedBody extends Readable {
  readonly #controller: Pick<Dispatcher.DispatchController, 'abort' | 'resume'>
  /** Small pieces of one read. */
  #small: Buffer[] = []
  #smallBytes = 0

  constructor(controller: Pick<Dispatcher.DispatchController, 'abort' | 'resume'>) {
    super({ highWaterMark: BUFFERED_BYTES })
    this.#controller = controller
    // An error is for the reader of the body; without one it is dropped.
    this.on('error', () => {})
  }

  /** @returns false: there is no room for more */
  receive(chunk: Buffer): boolean {
    if (chunk.length >= WORTH_BYTES) {
      this.#passSmall()
      return this.push(chunk)
    }
    // The pieces of one read come in one go.
    if (this.#small.length === 0) queueMicrotask(() => this.#passSmall())
    this.#small.push(chunk)
    this.#smallBytes += chunk.length
    return this.readableLength + this.#smallBytes < BUFFERED_BYTES
  }

  finish(): void {
    this.#passSmall()
    this.push(null)
  }

  #passSmall(): void {
    if (this.#small.length === 0) return
    const whole = Buffer.concat(this.#small)
    this.#small = []
    this.#smallBytes = 0
    if (!this.destroyed) this.push(whole)
  }

  override _read(): void {
    this.#controller.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Without effect on one that has ended.
    this.#controller.abort(error ?? new Error('closed'))
    done(error)
  }
}
