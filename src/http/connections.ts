import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from '../telemetry/log.ts'
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
  readonly connections: Set<Connection>
  unreadBytes: number
}

interface Connection {
  /** Of TLS, once its handshake is over. */
  socket: Socket
  readonly client: Client
  readonly waiting: Exchange[]
  /** What is worked on, or is the next to be. */
  current: Exchange | undefined
  /** While there is none: the lower, the longer it has been so. */
  idleSince: number
  unreadBytes: number
}

/**
 * What a client may hold of this process by connections alone: connections themselves, requests that
 * wait on them, and answers that nobody takes off. Node bounds none of these for pipelined requests: it
 * parses whatever one read has brought, some 1,400 requests in 64 KiB, and hands out all of them at once
 * (nodejs/node, lib/_http_server.js, parserOnIncoming). Here the requests of one connection are worked
 * on one after the other, as they are answered, and a few of all clients in each turn of the event loop.
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
  readonly #turns = new Turns<Connection>((connection) => this.#begin(connection))
  #listener: RequestListener = () => {}
  #drained: () => void = () => {}
  #count = 0
  #idleCount = 0
  #unreadBytes = 0

  constructor(limits: Limits, logger: Pick<Logger, 'warn'>) {
    this.#limits = limits
    this.#logger = logger
  }

  /** @param listener hears of every request when it is its turn */
  serve(server: Server, listener: RequestListener): void {
    const { maxConnections, reservedConnections } = this.#limits
    this.#listener = listener
    // Above what is kept here: those that were ended have yet to close.
    server.maxConnections = maxConnections + 4 * reservedConnections
    server.on('connection', (socket) => this.#open(socket))
    server.on('secureConnection', (socket: Socket) => this.#secured(socket))
    // RFC 9110, 10.1.1, lets what else is expected be passed over; Node would answer without a body.
    for (const event of ['request', 'checkExpectation'] as const) {
      server.on(event, (request, response) => this.#take(request, response))
    }
    server.on('timeout', (socket) => this.#endUnread(socket))
    server.on('drop', (dropped) => this.#tell('connections', clientKey(dropped?.remoteAddress)))
    server.on('error', (err: NodeJS.ErrnoException) => {
      // Before it listens the error is that of listen().
      if (server.listening) this.#tell(`accept: ${err.code ?? err.message}`, 'unknown')
    })
  }

  /**
   * Resolves when none is open. A server that closes waits for those that it has accepted itself, which the ones
   * of the other address of `localhost` are not.
   */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#count === 0) resolve()
      else this.#drained = resolve
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
    const hasMost = client.connections.size >= maxConnectionsPerClient
    const isReserve = (hasMost || this.#count >= maxConnections) && !this.#makeRoom(client, hasMost)
    const connection: Connection = {
      socket,
      client,
      waiting: [],
      current: undefined,
      idleSince: this.#nextIdle(),
      unreadBytes: 0,
    }
    this.#bySocket.set(socket, connection)
    const peer = peerOf(socket)
    if (peer !== undefined) this.#byPeer.set(peer, connection)
    socket.once('close', () => this.#close(connection, peer))
    client.connections.add(connection)
    this.#count += 1
    if (!isReserve) return
    const [oldest] = this.#reserve
    if (oldest !== undefined && this.#reserve.size >= reservedConnections) this.#end(oldest)
    this.#reserve.add(connection)
  }

  /** Ends the connection that has been idle the longest: of this client, or of the one with the most. */
  #makeRoom(client: Client, hasMost: boolean): boolean {
    const crowd = hasMost ? client : most(this.#clients.values(), (each) => each.connections.size)
    this.#tell('connections', crowd.key)
    let longest: Connection | undefined
    for (const each of crowd.connections) {
      if (each.current !== undefined || this.#reserve.has(each)) continue
      if (longest === undefined || each.idleSince < longest.idleSince) longest = each
    }
    if (longest === undefined) return false
    this.#end(longest)
    return true
  }

  #nextIdle(): number {
    this.#idleCount += 1
    return this.#idleCount
  }

  #secured(socket: Socket): void {
    const connection = this.#byPeer.get(peerOf(socket) ?? '')
    if (connection === undefined) return
    connection.socket = socket
    this.#bySocket.set(socket, connection)
    socket.once('close', () => this.#close(connection, undefined))
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    // The parser goes on to the end of what was read, also on a connection that was ended meanwhile.
    if (socket.destroyed) return
    const connection = this.#bySocket.get(socket)
    if (connection === undefined) this.#listener(request, response)
    else if (connection.current === undefined) {
      this.#queue(connection, { request, response })
    } else if (connection.waiting.length < this.#limits.maxPipelined) {
      connection.waiting.push({ request, response })
    } else {
      this.#tell('pipelined requests', connection.client.key)
      socket.destroy()
    }
  }

  #queue(connection: Connection, exchange: Exchange): void {
    connection.current = exchange
    this.#turns.take(connection.client.key, connection)
  }

  /** In the turn of its client; the connection may have been closed meanwhile. */
  #begin(connection: Connection): void {
    const { current, socket } = connection
    if (current === undefined || socket.destroyed) return
    const { request, response } = current
    if (this.#reserve.has(connection)) response.shouldKeepAlive = false
    response.on('prefinish', () => this.#written(connection))
    response.on('close', () => this.#answered(connection))
    this.#listener(request, response)
  }

  #answered(connection: Connection): void {
    this.#taken(connection)
    const next = connection.waiting.shift()
    if (next !== undefined) {
      this.#queue(connection, next)
      return
    }
    connection.current = undefined
    connection.idleSince = this.#nextIdle()
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
    client.connections.delete(connection)
    this.#reserve.delete(connection)
    this.#count -= 1
    if (this.#count === 0) this.#drained()
    if (client.connections.size === 0) this.#clients.delete(client.key)
  }

  #end(connection: Connection): void {
    this.#forget(connection)
    connection.socket.destroy()
  }

  #clientOf(socket: Socket): Client {
    const key = clientKey(socket.remoteAddress)
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    const client = { key, connections: new Set<Connection>(), unreadBytes: 0 }
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
