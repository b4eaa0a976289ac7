import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** As clientKey tells them apart. */
export interface Client {
  readonly key: string
  readonly connections: Set<Connection>
  /** Requests that wait for a turn of the event loop. */
  readonly queue: ServerResponse[]
  unreadBytes: number
}

/** An open connection of an HTTP client. */
export interface Connection {
  /** Of TLS, once its handshake is over. */
  socket: Socket
  readonly client: Client
  /** Of the request that is worked on, or the last one that was. */
  current: ServerResponse | undefined
  /** Pipelined behind it. */
  readonly waiting: ServerResponse[]
  /** The lower, the longer ago its last request came. */
  usedAt: number
  /** The answer that the system has not taken whole. */
  unread: ServerResponse | undefined
  unreadBytes: number
  /** Bytes that had come when it was last looked at, and how often there were no more since. */
  seenBytes: number
  idleLooks: number
  /** What came last is no HTTP: nothing more is read. */
  isBroken: boolean
  /** Takes a response that the system does not take at once. */
  readonly onUnread: (response: ServerResponse, isWhole: boolean) => void
}

const CONNECTION = Symbol('connection')

interface KnownSocket extends Socket {
  [CONNECTION]?: Connection
}

/** @param socket of TLS or, while there is none, of TCP */
export function connectionOf(socket: Socket): Connection | undefined {
  return (socket as KnownSocket)[CONNECTION]
}

export function attach(socket: Socket, connection: Connection): void {
  const known: KnownSocket = socket
  known[CONNECTION] = connection
}

/** Whether a request is worked on, or its answer is not yet taken. */
export function isBusy({ current }: Connection): boolean {
  return current !== undefined && !current.writableFinished
}

/** Ends it at once where no answer is due. */
export function endAfterAnswer(connection: Connection): void {
  const { current, socket, waiting } = connection
  if (current === undefined || !isBusy(connection)) {
    socket.destroy()
    return
  }
  const last = waiting.at(-1) ?? current
  if (last.headersSent) last.once('close', () => socket.end())
  else last.shouldKeepAlive = false
}
