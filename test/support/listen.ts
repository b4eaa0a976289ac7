import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { reservePort } from './port.ts'
import type { Cleanup } from './stack.ts'

/** A server that a test has started. */
export interface TestServer {
  /** `127.0.0.1:port`, the same after another start. */
  readonly host: string
  readonly port: number
  readonly url: string
  /** Connections that were ever accepted. */
  accepted(): number
  /** From now on connections are refused; open ones are cut. The port stays the test's. */
  stop(): Promise<void>
  /** Listens again at the same address, if it does not. */
  start(): Promise<void>
}

export interface ListenOptions {
  /** Of the URL; default http. */
  readonly scheme?: 'http' | 'https'
  /** A unix socket instead of a free loopback port; `host`, `port` and `url` then say nothing. */
  readonly path?: string
}

/** Lets any kind of server listen for the length of a test. */
export async function listen(
  t: Cleanup,
  server: Server,
  { scheme = 'http', path }: ListenOptions = {},
): Promise<TestServer> {
  const sockets = new Set<Socket>()
  let accepted = 0
  const port = path === undefined ? await reservePort(t) : 0
  server.on('connection', (socket: Socket) => {
    accepted += 1
    sockets.add(socket)
    // How a client leaves is no failure of the test.
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  async function start(): Promise<void> {
    if (server.listening) return
    const listening = once(server, 'listening')
    if (path === undefined) server.listen(port, '127.0.0.1')
    else server.listen(path)
    await listening
  }
  async function stop(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  t.after(stop)
  await start()
  const host = `127.0.0.1:${port}`
  return { host, port, url: `${scheme}://${host}`, accepted: () => accepted, stop, start }
}

/** A server below HTTP: `serve` is given each connection. */
export function startRawServer(
  t: Cleanup,
  serve: (socket: Socket) => void,
  options?: ListenOptions,
): Promise<TestServer> {
  return listen(t, createServer(serve), options)
}
