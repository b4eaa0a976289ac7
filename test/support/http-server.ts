import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Certificate } from './certificate.ts'
import { listen, type TestServer } from './listen.ts'
import type { Cleanup } from './stack.ts'

export type { TestServer } from './listen.ts'

/** What a server was sent. */
export interface ReceivedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
}

/** An idle connection is kept: to end it is a race with the next request on it, which a busy machine may lose. */
const KEPT = { keepAliveTimeout: 0 }

/** An HTTP server on a free loopback port, gone after the test. */
export function startServer(
  t: Cleanup,
  listener: RequestListener,
  certificate?: Certificate,
): Promise<TestServer> {
  if (certificate === undefined) return listen(t, createServer(KEPT, listener))
  return listen(t, createTlsServer({ ...KEPT, ...certificate }, listener), { scheme: 'https' })
}

export function received({ method = '', url = '', headers }: IncomingMessage): ReceivedRequest {
  return { method, path: url, headers }
}

export async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
