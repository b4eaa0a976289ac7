import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from '../telemetry/logger.ts'
import { clientKey } from './client-key.ts'
import type { Limits } from './limits.ts'
import { Turns } from './turns.ts'

/** A client that is at its bound is a line of the log once in that time. */
const TELL_EVERY_MS = 60_000

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

interface Client {
  readonly key: string
  connections: number
  /** Without a request, the longest so first. */
  readonly idle: Set<Connection>
  unreadBytes: number
}

interface Connection {
  /** Of TLS, once its handshake is over. */
  socket: Socket
  readonly client: Client
  readonly waiting: Exchange[]
  /** What is worked on, or was last while others wait. */
  current: Exchange | undefined
  unreadBytes: number
}

/**
 * What a client may hold of this process by connections alone: connections themselves, requests that
 * wait on them, and answers that nobody takes off. Node bounds none of these for pipelined requests: it
 * parses whatever one read has brought, some 1,400 requests in 64 KiB, and hands out all of them at once
 * (nodejs/node, lib/_http_server.js, parserOnIncoming). Here the requests of one connection are worked
 * on one after the other, as they are answered, and a few in each turn of the event loop.
 */
export class Connections {
  readonly #limits: Limits
  readonly #logger: Pick<Logger, 'warn'>
  readonly #clients = new Map<string, Client>()
  readonly #bySocket = new WeakMap<Socket, Connection>()
  /** Those whose handshake of TLS is not over, by where they come from. */
  readonly #byPeer = new Map<string, Connection>()
  readonly #reserve = new Set<Connection>()
  readonly #gone = new WeakSet<Connection>()
  readonly #toldAt = new Map<string, number>()
  readonly #turns = new Turns()
  #count = 0
  #unreadBytes = 0

  constructor(limits: Limits, logger: Pick<Logger, 'warn'>) {
    this.#limits = limits
    this.#logger = logger
  }

  /** @param listener hears of every request when it is its turn */
  serve(server: Server, listener: RequestListener): void {
    const { maxConnections, reservedConnections } = this.#limits
    // Above what is kept here: those that were ended have yet to close.
    server.maxConnections = maxConnections + 4 * reservedConnections
    server.on('connection', (socket) => this.#open(socket))
    server.on('secureConnection', (socket: Socket) => this.#secured(socket))
    // RFC 9110, 10.1.1, lets what else is expected be passed over; Node would answer without a body.
    for (const event of ['request', 'checkExpectation'] as const) {
      server.on(event, (request, response) => this.#take(request, response, listener))
    }
    server.on('timeout', (socket) => this.#endUnread(socket))
    server.on('drop', (dropped) => this.#tell('connections', clientKey(dropped?.remoteAddress)))
    server.on('error', (err: NodeJS.ErrnoException) => {
      // Before it listens the error is that of listen().
      if (server.listening) this.#tell(`accept: ${err.code ?? err.message}`, 'unknown')
    })
  }

  /** Whether its client has no connection left for anything but health routes. */
  isReserve(socket: Socket): boolean {
    if (this.#reserve.size === 0) return false
    const connection = this.#bySocket.get(socket)
    return connection !== undefined && this.#reserve.has(connection)
  }

  /**
   * Whether what is written now would stand in the place of another request's answer, or amid one, or
   * would never be sent, since the handshake of TLS is not over.
   */
  isUnwritable(socket: Socket): boolean {
    const connection = this.#bySocket.get(socket)
    if (connection === undefined) return true
    const { current } = connection
    return current !== undefined && (current.request.complete || current.response.headersSent)
  }

  #open(socket: Socket): void {
    const { maxConnections, maxConnectionsPerClient, reservedConnections } = this.#limits
    const client = this.#clientOf(socket)
    const hasMost = client.connections >= maxConnectionsPerClient
    const isReserve = (hasMost || this.#count >= maxConnections) && !this.#makeRoom(client, hasMost)
    const connection = { socket, client, waiting: [], current: undefined, unreadBytes: 0 }
    this.#bySocket.set(socket, connection)
    const peer = peerOf(socket)
    if (peer !== undefined) this.#byPeer.set(peer, connection)
    socket.once('close', () => this.#close(connection, peer))
    client.connections += 1
    this.#count += 1
    if (!isReserve) {
      client.idle.add(connection)
      return
    }
    const [oldest] = this.#reserve
    if (oldest !== undefined && this.#reserve.size >= reservedConnections) this.#end(oldest)
    this.#reserve.add(connection)
  }

  /** Ends the connection that has been idle the longest: of this client, or of the one with the most. */
  #makeRoom(client: Client, hasMost: boolean): boolean {
    const crowd = hasMost ? client : most(this.#clients.values(), (each) => each.connections)
    this.#tell('connections', crowd.key)
    const [idle] = crowd.idle
    if (idle === undefined) return false
    this.#end(idle)
    return true
  }

  #secured(socket: Socket): void {
    const connection = this.#byPeer.get(peerOf(socket) ?? '')
    if (connection === undefined) return
    connection.socket = socket
    this.#bySocket.set(socket, connection)
    socket.once('close', () => this.#close(connection, undefined))
  }

  #take(request: IncomingMessage, response: ServerResponse, listener: RequestListener): void {
    const { socket } = request
    // The parser goes on to the end of what was read, also on a connection that was ended meanwhile.
    if (socket.destroyed) return
    const connection = this.#bySocket.get(socket)
    if (connection === undefined) listener(request, response)
    else if (connection.current === undefined) {
      this.#start(connection, { request, response }, listener)
    } else if (connection.waiting.length < this.#limits.maxPipelined) {
      connection.waiting.push({ request, response })
    } else {
      this.#tell('pipelined requests', connection.client.key)
      socket.destroy()
    }
  }

  #start(connection: Connection, exchange: Exchange, listener: RequestListener): void {
    const { request, response } = exchange
    connection.current = exchange
    connection.client.idle.delete(connection)
    if (this.#reserve.has(connection)) response.shouldKeepAlive = false
    response.once('prefinish', () => this.#written(connection))
    response.once('close', () => {
      this.#taken(connection)
      if (connection.waiting.length > 0) this.#turns.take(() => this.#next(connection, listener))
      else this.#rest(connection)
    })
    listener(request, response)
  }

  #next(connection: Connection, listener: RequestListener): void {
    const next = connection.waiting.shift()
    // The connection may have been closed meanwhile.
    if (next === undefined) this.#rest(connection)
    else this.#start(connection, next, listener)
  }

  #rest(connection: Connection): void {
    connection.current = undefined
    if (connection.socket.destroyed || this.#reserve.has(connection)) return
    connection.client.idle.add(connection)
  }

  /** The whole answer is handed over; what the system did not take at once is in our memory. */
  #written(connection: Connection): void {
    const bytes = connection.socket.writableLength
    if (bytes === 0) return
    const { client } = connection
    connection.unreadBytes = bytes
    client.unreadBytes += bytes
    this.#unreadBytes += bytes
    const { maxUnreadBytes, maxUnreadBytesPerClient } = this.#limits
    if (client.unreadBytes <= maxUnreadBytesPerClient && this.#unreadBytes <= maxUnreadBytes) return
    this.#tell('unread answers', client.key)
    connection.socket.destroy()
  }

  #taken(connection: Connection): void {
    connection.client.unreadBytes -= connection.unreadBytes
    this.#unreadBytes -= connection.unreadBytes
    connection.unreadBytes = 0
  }

  /** Nothing has moved on it: an answer that is left unread is ended, one that takes long is waited for. */
  #endUnread(socket: Socket): void {
    const isBusy = this.#bySocket.get(socket)?.current !== undefined
    if (!isBusy || socket.writableLength > 0) socket.destroy()
  }

  #close(connection: Connection, peer: string | undefined): void {
    if (peer !== undefined) this.#byPeer.delete(peer)
    this.#taken(connection)
    connection.waiting.length = 0
    this.#forget(connection)
  }

  #forget(connection: Connection): void {
    if (this.#gone.has(connection)) return
    this.#gone.add(connection)
    const { client } = connection
    client.idle.delete(connection)
    this.#reserve.delete(connection)
    this.#count -= 1
    client.connections -= 1
    if (client.connections === 0) this.#clients.delete(client.key)
  }

  #end(connection: Connection): void {
    this.#forget(connection)
    connection.socket.destroy()
  }

  #clientOf(socket: Socket): Client {
    const key = clientKey(socket.remoteAddress)
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    const client = { key, connections: 0, idle: new Set<Connection>(), unreadBytes: 0 }
    this.#clients.set(key, client)
    return client
  }

  #tell(what: string, client: string): void {
    const now = performance.now()
    if (now - (this.#toldAt.get(what) ?? Number.NEGATIVE_INFINITY) < TELL_EVERY_MS) return
    this.#toldAt.set(what, now)
    this.#logger.warn({ what, client }, 'an HTTP client is at its bound; its connections are ended')
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort}`
}

function most<T>(things: Iterable<T>, size: (thing: T) => number): T {
  return [...things].reduce((one, other) => (size(other) > size(one) ? other : one))
}
