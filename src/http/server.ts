import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
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
 * A server whose requests come to `handler` within the bounds of `connections`.
 *
 * @throws ResolveError CONFIG_INVALID for a certificate that cannot be used
 */
export function createHttpServer(handler: RequestListener, options: HttpServerOptions): Server {
  const { connections, limits, tls } = options
  const http: ServerOptions = {
    highWaterMark: BUFFERED_BYTES,
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5_000),
  }
  const server =
    tls === undefined
      ? createServer(http)
      : createTlsServer({ ...http, handshakeTimeout: limits.headersTimeoutMs, ...readTls(tls) })
  server.setTimeout(limits.unreadTimeoutMs)
  connections.serve(server, handler)
  return server
}
