import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Certificate } from './certificate.ts'
import type { Cleanup } from './stack.ts'

/** What a server was sent. */
export interface ReceivedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
}

export interface TestServer {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly url: string
  /** Connections that were ever accepted. */
  accepted(): number
  /** From now on its port refuses connections. */
  stop(): Promise<void>
}

/** A server on a free loopback port, gone after the test. */
export async function startServer(
  t: Cleanup,
  listener: RequestListener,
  certificate?: Certificate,
): Promise<TestServer> {
  const server = certificate ? createTlsServer(certificate, listener) : createServer(listener)
  const sockets = new Set<Socket>()
  let accepted = 0
  server.on('connection', (socket: Socket) => {
    accepted += 1
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  t.after(stop)
  return {
    host,
    url: `${certificate ? 'https' : 'http'}://${host}`,
    accepted: () => accepted,
    stop,
  }
}

export function received({ method = '', url = '', headers }: IncomingMessage): ReceivedRequest {
  return { method, path: url, headers }
}

export async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
