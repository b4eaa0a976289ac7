import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connectWithSharedReads } from '../host/shared-reads.ts'
import { Connection } from '../http2/connection.ts'
import { ConnectionError, ERROR_CODE } from '../http2/frames.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import { QueuedBytes, QueueTotal } from '../http2/limits.ts'
import type { Stream, StreamHandler } from '../http2/stream.ts'
import { status } from '../runtime/status.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { SpokenVersions } from '../runtime/versions.ts'
import type { Logger } from '../telemetry/log.ts'
import { isGrpc, statusAnswer, statusOf } from './grpc.ts'
import { isEndless, isUnary } from './methods.ts'
import { OwnedCall, type OwnedMethod } from './owned-call.ts'
import { LargeMessages, RelayedCall, refuseWith } from './relayed-call.ts'
import type { Rewrite } from './rewrite/rewrite.ts'
import { type Link, RuntimeLog, type Settle, Upstream } from './upstream.ts'
import { type AskStatus, bridged, versionOf } from './version-bridge.ts'

/** For the preface of a client. After it an idle client may stay. */
const OPENING_MS = 10_000
/** After the grace a client has this long to read the last statuses. */
const LINGER_MS = 500
/** Concurrent clients: each takes two descriptors. A node has some ten. */
const MAX_CLIENTS = 512
/** A client that is cut off may come back at once, so each warning is logged once in this time. */
const WARNING_MS = 60_000
const PULL = /\.ImageService\/PullImage$/
const SHUTTING_DOWN = 'image-resolver is shutting down'
const RESTARTING = 'image-resolver is restarting: the pull was not begun, and can be tried again'
/** The text of grpc-go. */
const NO_GRPC = statusAnswer(status.INVALID_ARGUMENT, 'invalid gRPC request content-type', 415)

export interface RelayOptions {
  readonly runtimeSocket: string
  /** Methods that are answered in this process, by path (`/package.Service/Method`). Read at each call. */
  readonly owned: Pick<ReadonlyMap<string, OwnedMethod>, 'get'>
  /** As in UpstreamOptions. */
  readonly versions?: (ask: AskStatus) => SpokenVersions
  /** As in UpstreamOptions. */
  readonly settle?: Settle | undefined
  /** Changes of relayed messages; absent: none. */
  readonly rewrite?: Rewrite | undefined
  readonly logger: Logger
  /** Milliseconds for the preface of a client. Default 10,000. */
  readonly openingMs?: number
  /** Concurrent clients; one more evicts an idle one. Default 512. */
  readonly maxClients?: number
  /** Called when a call has ended, with its gRPC code. */
  readonly onCall?: ((path: string, code: number) => void) | undefined
}

export interface Grace {
  readonly graceMs: number
  /** For PullImage, which takes minutes and loses its work when it is ended; default graceMs. */
  readonly pullGraceMs?: number
}

export interface Relay {
  /** Serves a new client. */
  accept(connection: Socket): void
  /**
   * Refuses new pulls, and serves everything else. Resolves when the calls under way have ended, or
   * their grace has; remaining pulls then end with UNAVAILABLE.
   */
  drain(grace: Grace): Promise<void>
  /**
   * Sends GOAWAY to the clients, ends streams of events, waits for other calls under way up to the
   * grace, ends the rest with UNAVAILABLE, and closes the connections.
   */
  close(grace: Pick<Grace, 'graceMs'>): Promise<void>
}

interface Client {
  readonly socket: Socket
  readonly queue: QueuedBytes
  readonly large: LargeMessages
  readonly upstream: Upstream
  /** Calls under way that end by themselves. */
  finiteCalls: number
}

interface OpenCall {
  readonly path: string
  /** Called when the call has ended. */
  onEnd?: () => void
}

interface Incoming {
  readonly client: Client
  readonly stream: Stream
  readonly list: HeaderList
  readonly isEnd: boolean
  readonly path: string
}

/** A call that waits until the runtime's version is known. */
interface Pending {
  begin?: (version: CriVersion) => void
}

/**
 * Answers calls of owned methods, and relays every other HTTP/2 stream to the runtime without reading
 * it, so that unknown methods pass. Each client has a connection of its own to the runtime, and so its
 * own flow control and its own end. While the runtime is away calls end with UNAVAILABLE.
 */
export function createRelay(options: RelayOptions): Relay {
  const { logger, maxClients = MAX_CLIENTS, onCall, owned, rewrite, settle } = options
  /** In the order of their last call. */
  const clients = new Map<Connection, Client>()
  const calls = new Map<RelayedCall | OwnedCall, OpenCall>()
  const total = new QueueTotal()
  const warn = limitedWarnings(logger)
  const runtime = new RuntimeLog(options.runtimeSocket, logger)
  let isDraining = false
  let isClosing = false
  let onAllGone = (): void => {}
  const onDefect = (error: unknown): void => logger.error({ err: error }, 'unexpected error')

  function accept(socket: Socket): void {
    if (clients.size >= maxClients && !evict()) {
      socket.destroy()
      return
    }
    const queue = new QueuedBytes(total)
    const upstream = new Upstream({
      name: options.runtimeSocket,
      connect: () => connectWithSharedReads(options.runtimeSocket),
      versions: options.versions,
      settle,
      queue,
      onDefect,
      log: runtime,
    })
    const opening = setTimeout(() => socket.destroy(), options.openingMs ?? OPENING_MS)
    const large = new LargeMessages()
    const client: Client = { socket, queue, large, upstream, finiteCalls: 0 }
    const connection = new Connection(socket, {
      role: 'server',
      queue,
      onStream: (stream, list, isEnd) => {
        clients.delete(connection)
        clients.set(connection, client)
        return begin({ client, stream, list, isEnd, path: headerValue(list, ':path') ?? '' })
      },
      onSettingsReceived: () => clearTimeout(opening),
      onDefect,
      onClosed: (cause) => {
        clearTimeout(opening)
        if (cause !== undefined) logBroken(cause)
        clients.delete(connection)
        upstream.close()
        queue.close()
        if (clients.size === 0) onAllGone()
      },
    })
    clients.set(connection, client)
    if (isClosing) connection.goAway()
  }

  /**
   * Closes a client for a new one: the least recently used idle client, or one that has only streams of
   * events. Both reconnect by themselves.
   */
  function evict(): boolean {
    warn({ clients: maxClients }, 'the CRI socket has all the clients it takes')
    const all = [...clients]
    const evicted =
      all.find(([connection]) => connection.isIdle) ??
      all.find(([, { finiteCalls }]) => finiteCalls === 0)
    if (evicted === undefined) return false
    const [connection, { socket }] = evicted
    clients.delete(connection)
    connection.destroy()
    // Without waiting for the client, which would keep its descriptors meanwhile.
    socket.destroy()
    return true
  }

  function logBroken(cause: Error): void {
    const isFlood = cause instanceof ConnectionError && cause.code === ERROR_CODE.enhanceYourCalm
    if (isFlood) warn({ reason: cause.message }, 'a client of the CRI socket was cut off')
    else logger.debug({ err: cause }, 'a client broke off')
  }

  function begin(incoming: Incoming): StreamHandler {
    const { client, stream, list, isEnd, path } = incoming
    if (isDraining && PULL.test(path)) {
      return refuse(incoming, statusAnswer(status.UNAVAILABLE, RESTARTING))
    }
    const method = owned.get(path)
    if (method === undefined) return relay(incoming, client.upstream.link())
    if (!isGrpc(list)) return refuse(incoming, NO_GRPC)
    const call = new OwnedCall(stream, list, isEnd, {
      method,
      queue: client.queue,
      log: logger,
      onDone: (code) => done(call, client, code),
    })
    track(call, incoming)
    return call.fromClient
  }

  function relay(incoming: Incoming, link: Link): StreamHandler {
    const { client, stream, list, isEnd, path } = incoming
    const asked = versionOf(path)
    const pending: Pending = {}
    const call = new RelayedCall(stream, link, {
      isUnary: isUnary(path),
      edits: asked === undefined ? undefined : rewrite?.(path),
      queue: client.queue,
      large: client.large,
      onDone: (code) => {
        delete pending.begin
        done(call, client, code)
      },
    })
    track(call, incoming)
    const version = asked === undefined ? undefined : link.version(path, asked)
    const begin = (found: CriVersion | undefined): void => {
      const { request, edit } = bridged(list, path, found, logger)
      call.begin(request, isEnd, edit)
    }
    if (version instanceof Promise) {
      pending.begin = begin
      beginWhenKnown(pending, version)
    } else {
      begin(version)
    }
    return call
  }

  function refuse({ stream, path }: Incoming, list: HeaderList): StreamHandler {
    return refuseWith(stream, list, () => onCall?.(path, statusOf(list)))
  }

  function track(call: RelayedCall | OwnedCall, { client, path }: Incoming): void {
    calls.set(call, { path })
    if (!isEndless(path)) client.finiteCalls += 1
  }

  function done(call: RelayedCall | OwnedCall, client: Client, code: number): void {
    const open = calls.get(call)
    if (open === undefined) return
    calls.delete(call)
    if (!isEndless(open.path)) client.finiteCalls -= 1
    open.onEnd?.()
    onCall?.(open.path, code)
  }

  function failAll(isMeant: (path: string) => boolean): void {
    for (const [call, { path }] of calls) {
      if (isMeant(path)) call.fail(status.UNAVAILABLE, SHUTTING_DOWN)
    }
  }

  /** Resolves when the calls that are under way now have ended. */
  async function ended(isMeant: (path: string) => boolean): Promise<void> {
    const meant = [...calls.values()].filter(({ path }) => isMeant(path))
    await Promise.all(
      meant.map((call) => new Promise<void>((resolve) => Object.assign(call, { onEnd: resolve }))),
    )
  }

  return {
    accept,
    async drain({ graceMs, pullGraceMs = graceMs }) {
      isDraining = true
      const isPull = (path: string): boolean => PULL.test(path)
      const isOther = (path: string): boolean => !isPull(path) && !isEndless(path)
      await Promise.all([atMost(graceMs, ended(isOther)), atMost(pullGraceMs, ended(isPull))])
      failAll(isPull)
    },
    async close({ graceMs }) {
      isDraining = true
      isClosing = true
      const closed = new Promise<void>((resolve) => {
        onAllGone = resolve
        if (clients.size === 0) resolve()
      })
      for (const connection of clients.keys()) connection.goAway()
      failAll((path) => isEndless(path))
      await atMost(graceMs, closed)
      failAll(() => true)
      await atMost(LINGER_MS, closed)
      for (const { socket } of clients.values()) socket.destroy()
    },
  }
}

/** A separate function, so that the promise does not hold a call that has ended. */
function beginWhenKnown(pending: Pending, version: Promise<CriVersion>): void {
  void version.then((found) => pending.begin?.(found))
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const limit = new AbortController()
  const timeUp = delay(ms, undefined, { signal: limit.signal }).catch(() => {})
  await Promise.race([work, timeUp])
  limit.abort()
}

function limitedWarnings(logger: Logger): (fields: object, message: string) => void {
  const loggedAt = new Map<string, number>()
  return (fields, message) => {
    const now = performance.now()
    if (now - (loggedAt.get(message) ?? Number.NEGATIVE_INFINITY) < WARNING_MS) return
    loggedAt.set(message, now)
    logger.warn(fields, message)
  }
}
