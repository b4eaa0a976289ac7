import {
  createServer,
  IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { connectionOf } from './connection.ts'
import type { Connections } from './connections.ts'
import type { Limits } from './limits.ts'
import { readTls } from './tls.ts'
import type { TlsFiles } from './types.ts'

export interface HttpServerOptions {
  readonly limits: Limits
  readonly connections: Connections
  readonly tls?: TlsFiles | undefined
}

/** Of what is sent, on each connection: more than one piece of a blob, or its registry would stop and go with each. */
const BUFFERED_BYTES = 128 * 1024

/**
 * A server that passes its requests to `handler` within the bounds of `connections`.
 *
 * @throws ResolveError CONFIG_INVALID for a certificate that cannot be used
 */
export function createHttpServer(handler: RequestListener, options: HttpServerOptions): Server {
  const { connections, limits, tls } = options
  const http: ServerOptions<typeof IncomingMessage, typeof ServerResponse> = {
    IncomingMessage: Request,
    ServerResponse: Response,
    highWaterMark: BUFFERED_BYTES,
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    // Each would set a timer at every request; `connections` ends what is idle or unread.
    keepAliveTimeout: 0,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5_000),
    // Node would answer at once, past `connections`.
    requireHostHeader: false,
  }
  const server =
    tls === undefined
      ? createServer(http)
      : createTlsServer({ ...http, handshakeTimeout: limits.headersTimeoutMs, ...readTls(tls) })
  connections.serve(server, handler)
  return server
}

declare module 'node:http' {
  interface IncomingMessage {
    /** Node calls it for a request with a body that was not read. */
    _dump(): void
    readonly _readableState: { endEmitted: boolean }
  }
}

class Request extends IncomingMessage {
  declare isUpgrade: boolean | null

  /**
   * Node's parser reads on to the end of what one read has brought, some 1,400 requests in 64 KiB, also on
   * a connection that was destroyed meanwhile. It stops where a request changes the protocol, so the next
   * one does.
   */
  get upgrade(): boolean | null {
    return this.socket.destroyed || this.isUpgrade
  }

  set upgrade(isUpgrade: boolean | null) {
    this.isUpgrade = isUpgrade
  }

  /**
   * Ending a stream that was empty takes two turns of the microtask queue, a fifteenth of a cached answer, and
   * until it has ended Node's parser holds the request. Node 24 has the option `optimizeEmptyRequests` for it.
   */
  override _dump(): void {
    if (!this.complete || this.readableLength > 0) super._dump()
    else this._readableState.endEmitted = true
  }
}

class Response<R extends IncomingMessage = IncomingMessage> extends ServerResponse<R> {
  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    const isTaken = super.write(chunk, encoding as BufferEncoding, callback as () => void)
    if (!isTaken && this.socket !== null) connectionOf(this.socket)?.onUnread(this, false)
    return isTaken
  }

  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    super.end(chunk, encoding as BufferEncoding, callback as () => void)
    const { socket } = this
    if (socket !== null && socket.writableLength > 0) connectionOf(socket)?.onUnread(this, true)
    return this
  }

  /**
   * Node calls it when the answer is with the system. Held until the next request, those of 256 connections
   * would outlive the young heap, which doubles what an answer costs.
   */
  override detachSocket(socket: Socket): void {
    super.detachSocket(socket)
    const connection = connectionOf(socket)
    // What is yet to come of a request may turn out to be no HTTP.
    if (connection?.current === this && this.req.complete) connection.current = undefined
  }
}
