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

/**
 * A server whose requests come to `handler` within the bounds of `connections`.
 *
 * @throws ResolveError CONFIG_INVALID for a certificate that cannot be used
 */
export function createHttpServer(handler: RequestListener, options: HttpServerOptions): Server {
  const { connections, limits, tls } = options
  const http: ServerOptions = {
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
