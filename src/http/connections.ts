import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { clientCame } from '../host/optimizer.ts'
import type { Logger } from '../telemetry/log.ts'
import {
  attach,
  type Client,
  type Connection,
  connectionOf,
  endAfterAnswer,
  isBusy,
} from './connection.ts'
import { clientKey, type Limits } from './limits.ts'
import { RequestQueue } from './request-queue.ts'

/** Node keeps the socket that TLS is spoken on, and has no other name for it; a unix socket has no address to find it by. */
interface TlsSocket extends Socket {
  readonly _parent?: Socket
}

/** A client that is at its bound is a line of the log once in that time. */
const WARN_EVERY_MS = 60_000

/** An idle connection is ended when so many looks in succession found nothing new on it. */
const IDLE_LOOKS = 4

/**
 * What a client may hold of this process by connections alone: connections themselves, requests that
 * wait on them, and answers that are not read. Node bounds none of these for pipelined requests.
 */
export class Connections {
  readonly #limits: Limits
  readonly #logger: Pick<Logger, 'warn'>
  readonly #clients = new Map<string, Client>()
  readonly #reserve = new Set<Connection>()
  readonly #warnedAt = new Map<string, number>()
  #drained: () => void = () => {}
  #count = 0
  #useCount = 0
  #unreadBytes = 0

  constructor(limits: Limits, logger: Pick<Logger, 'warn'>) {
    this.#limits = limits
    this.#logger = logger
  }

  /** @param listener gets every request when it is its turn */
  serve(server: Server, listener: RequestListener): void {
    const { maxConnections, maxPipelined, reservedConnections } = this.#limits
    const requests = new RequestQueue({
      maxPipelined,
      begin: (request, response) => {
        if (this.isReserve(request.socket)) response.shouldKeepAlive = false
        listener(request, response)
      },
    })
    // Above what is kept here: those that were ended have yet to close.
    server.maxConnections = maxConnections + 4 * reservedConnections
    server.on('connection', (socket) => {
      clientCame()
      this.#open(socket)
    })
    server.on('secureConnection', (socket: TlsSocket) => this.#secured(socket))
    // RFC 9110, 10.1.1, lets what else is expected be passed over; Node would answer without a body.
    for (const event of ['request', 'checkExpectation'] as const) {
      server.on(event, (request, response) => this.#take(requests, request, response))
    }
    server.on('timeout', (socket) => this.#endUnread(socket))
    const looks = setInterval(() => this.#endIdle(), this.#limits.keepAliveTimeoutMs / IDLE_LOOKS)
    looks.unref()
    server.once('close', () => clearInterval(looks))
    server.on('drop', (dropped) => this.#warn('connections', clientKey(dropped?.remoteAddress)))
    server.on('error', (err: NodeJS.ErrnoException) => {
      // Before it listens the error is that of listen().
      if (server.listening) this.#warn(`accept: ${err.code ?? err.message}`, 'unknown')
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

  /** Ends what is idle, and everything else after the answer that it waits for. */
  close(): void {
    for (const { connections } of this.#clients.values()) {
      for (const connection of connections) endAfterAnswer(connection)
    }
  }

  /** Whether its client has no connection left for anything but health routes. */
  isReserve(socket: Socket): boolean {
    if (this.#reserve.size === 0) return false
    const connection = connectionOf(socket)
    return connection !== undefined && this.#reserve.has(connection)
  }

  /**
   * Ends a connection on which something came that is no HTTP, behind the answers that are due: those of the
   * requests that came before it. Where the mistake is in the body of a request that has its answer already, as a
   * GET out of the cache, that answer stands, and the connection just ends: another one would be taken for the next
   * request's.
   *
   * @param refuse writes why, and ends the connection
   */
  endAfterMistake(socket: Socket, refuse: () => void): void {
    const connection = connectionOf(socket)
    // The handshake of TLS is not over.
    if (connection === undefined) return void socket.destroy()
    // What comes after it would be refused again.
    if (connection.isBroken) return
    connection.isBroken = true
    socket.pause()
    const { current, waiting } = connection
    const last = waiting.at(-1) ?? current
    const isDue = isBusy(connection)
    if (last === undefined) {
      refuse()
    } else if (last.req.complete || last.headersSent) {
      const end = last.req.complete ? refuse : () => socket.destroySoon()
      if (isDue) last.once('close', end)
      else end()
    } else {
      waiting.pop()
      if (last === current) refuse()
      else (waiting.at(-1) ?? current)?.once('close', refuse)
    }
  }

  #open(socket: Socket): void {
    const { maxConnections, maxConnectionsPerClient, reservedConnections } = this.#limits
    const client = this.#clientOf(socket)
    const hasMost = client.connections.size >= maxConnectionsPerClient
    const isReserve = (hasMost || this.#count >= maxConnections) && !this.#makeRoom(client, hasMost)
    const connection: Connection = {
      socket,
      client,
      current: undefined,
      waiting: [],
      usedAt: this.#nextUse(),
      unread: undefined,
      unreadBytes: 0,
      seenBytes: 0,
      idleLooks: 0,
      isBroken: false,
      onUnread: this.#onUnread,
    }
    attach(socket, connection)
    socket.once('close', () => this.#close(connection))
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
    this.#warn('connections', crowd.key)
    let longest: Connection | undefined
    for (const each of crowd.connections) {
      if (isBusy(each) || this.#reserve.has(each)) continue
      if (longest === undefined || each.usedAt < longest.usedAt) longest = each
    }
    if (longest === undefined) return false
    this.#end(longest)
    return true
  }

  #nextUse(): number {
    this.#useCount += 1
    return this.#useCount
  }

  #secured(socket: TlsSocket): void {
    const connection = socket._parent && connectionOf(socket._parent)
    if (connection === undefined) return
    connection.socket = socket
    attach(socket, connection)
    socket.once('close', () => this.#close(connection))
  }

  #take(requests: RequestQueue, { socket }: IncomingMessage, response: ServerResponse): void {
    const connection = connectionOf(socket)
    if (connection === undefined || socket.destroyed) return
    connection.usedAt = this.#nextUse()
    if (requests.take(connection, response)) return
    this.#warn('pipelined requests', connection.client.key)
    socket.destroy()
  }

  /** What the system does not take at once is in our memory. */
  readonly #onUnread = (response: ServerResponse, isWhole: boolean): void => {
    const { socket } = response
    const connection = socket === null ? undefined : connectionOf(socket)
    if (socket === null || connection === undefined) return
    if (connection.unread !== response) {
      connection.unread = response
      socket.setTimeout(this.#limits.unreadTimeoutMs)
      response.once('close', () => {
        // The next answer may be unread already.
        if (connection.unread !== response) return
        socket.setTimeout(0)
        this.#taken(connection)
      })
    }
    // A stream waits until it is taken, and holds no more than a buffer.
    if (!isWhole) return
    const { client } = connection
    const bytes = socket.writableLength - connection.unreadBytes
    connection.unreadBytes += bytes
    client.unreadBytes += bytes
    this.#unreadBytes += bytes
    const { maxUnreadBytes, maxUnreadBytesPerClient } = this.#limits
    if (client.unreadBytes <= maxUnreadBytesPerClient && this.#unreadBytes <= maxUnreadBytes) return
    this.#warn('unread answers', client.key)
    socket.destroy()
  }

  #taken(connection: Connection): void {
    connection.client.unreadBytes -= connection.unreadBytes
    this.#unreadBytes -= connection.unreadBytes
    connection.unreadBytes = 0
    connection.unread = undefined
  }

  /** Nothing has moved on it: an answer that is left unread is ended, one that takes long is waited for. */
  #endUnread(socket: Socket): void {
    const connection = connectionOf(socket)
    if (connection === undefined || !isBusy(connection) || socket.writableLength > 0)
      socket.destroy()
  }

  #endIdle(): void {
    for (const { connections } of this.#clients.values()) {
      for (const connection of connections) {
        const { bytesRead } = connection.socket
        const isIdle = !isBusy(connection) && bytesRead === connection.seenBytes
        connection.seenBytes = bytesRead
        connection.idleLooks = isIdle ? connection.idleLooks + 1 : 0
        if (connection.idleLooks >= IDLE_LOOKS) connection.socket.destroy()
      }
    }
  }

  #close(connection: Connection): void {
    this.#taken(connection)
    connection.waiting.length = 0
    this.#forget(connection)
  }

  #forget(connection: Connection): void {
    const { client } = connection
    if (!client.connections.delete(connection)) return
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
    const client: Client = { key, connections: new Set(), queue: [], unreadBytes: 0 }
    this.#clients.set(key, client)
    return client
  }

  #warn(what: string, client: string): void {
    const now = performance.now()
    if (now - (this.#warnedAt.get(what) ?? Number.NEGATIVE_INFINITY) < WARN_EVERY_MS) return
    this.#warnedAt.set(what, now)
    this.#logger.warn({ what, client }, 'an HTTP client is at its bound; its connections are ended')
  }
}

function most<T>(things: Iterable<T>, size: (thing: T) => number): T {
  return [...things].reduce((one, other) => (size(other) > size(one) ? other : one))
}
