import {
  type ClientHttp2Session,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { CriVersion } from '../runtime/types.ts'
import type { SpokenVersions } from '../runtime/versions.ts'
import type { Logger } from '../telemetry/logger.ts'
import { openConnection } from './authority-stage.ts'
import { type RelayedCall, refuse, relayCall, respondWithStatus } from './call.ts'
import { endWhenDead } from './dead-session.ts'
import { GRPC_STATUS, isGrpc, requestHeaders, sendHeaders } from './headers.ts'
import type { Rewrite } from './rewrite.ts'
import { bodyEdit } from './rewrite-frames.ts'
import { SESSION_OPTIONS } from './session-options.ts'
import { createUpstream, type Upstream } from './upstream.ts'
import { answerFor, inVersion, versionOf } from './version-bridge.ts'

/** After the grace a client gets this long to take the last statuses off us. */
const FAREWELL_MS = 500
const PULL = /\.ImageService\/PullImage$/

export interface RelayOptions {
  readonly runtimeSocket: string
  /** Paths (`/package.Service/Method`) that are answered in this process. Asked at each call. */
  readonly owned: Pick<ReadonlySet<string>, 'has'>
  /** Opens a connection to the server in this process. */
  readonly ownedConnect: () => Duplex
  /**
   * What the runtime at the end of a connection speaks. Callers of another version are put through
   * in that one; absent: all as they came.
   */
  readonly versions?: (session: ClientHttp2Session) => SpokenVersions
  /** What is changed in relayed calls; absent: nothing. */
  readonly rewrite?: Rewrite | undefined
  readonly logger: Logger
  /** Between looks whether a client's session is still alive, in milliseconds. Default 20,000. */
  readonly lookMs?: number
  /** Told of each call when it has ended, with its gRPC code. */
  readonly onCall?: ((path: string, code: number) => void) | undefined
}

export interface Relay {
  /** Serves a client from the first byte of its connection to the last. */
  accept(connection: Socket): void
  /**
   * Tells the clients to go away, gives the calls under way their grace to finish, ends the others
   * with UNAVAILABLE, and closes the connections.
   */
  close(options: Grace): Promise<void>
}

export interface Grace {
  readonly graceMs: number
  /** For PullImage, which takes minutes, and whose work is lost when it is ended; default graceMs. */
  readonly pullGraceMs?: number
}

/**
 * Puts each HTTP/2 stream of a client through to the runtime, or to the server in this process if its
 * path is owned, without looking into it: methods that nobody has thought of yet pass like any other.
 * Each client has sessions of its own behind it, so that it gets its own flow control and its end
 * is theirs. While the runtime is away its calls end with UNAVAILABLE; nothing else happens.
 */
export function createRelay(options: RelayOptions): Relay {
  const { logger, onCall, owned } = options
  const connections = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  const calls = new Map<RelayedCall, string>()
  const server = createServer(SESSION_OPTIONS)
  let isClosing = false
  const report = runtimeReport(options.runtimeSocket, logger)

  server.on('session', (session) => {
    const runtime = createUpstream({
      name: options.runtimeSocket,
      connect: () => connect(options.runtimeSocket),
      versions: options.versions,
      ...report,
    })
    const inProcess = createUpstream({ name: 'in-process', connect: options.ownedConnect })
    sessions.add(session)
    if (isClosing) session.close()
    session.once('close', () => {
      sessions.delete(session)
      runtime.close()
      inProcess.close()
    })
    session.on('stream', (stream, headers, _flags, raw?: readonly string[]) => {
      // Its end is seen by 'close', or by `closed`; without a listener an error ends the process.
      stream.on('error', () => {})
      const path = headers[':path'] ?? ''
      const isOwned = owned.has(path)
      // grpc-js would answer this to a client that has left already, and end the process by it.
      if (isOwned && !isGrpc(headers)) {
        refuse(stream)
        onCall?.(path, GRPC_STATUS.invalidArgument)
        return
      }
      const asked = isOwned ? undefined : versionOf(path)
      const join = (spoken = asked) =>
        begin(stream, headers, raw ?? [], isOwned ? inProcess : runtime, asked, spoken)
      const spoken = asked === undefined ? undefined : runtime.spoken(asked)
      if (!(spoken instanceof Promise)) join(spoken)
      else void spoken.then(join)
    })
  })
  // Not worth more: grpc-go, for one, says goodbye with a stream number that nghttp2 does not like.
  server.on('sessionError', (error) => logger.debug({ err: error }, 'a client broke off'))

  function begin(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    raw: readonly string[],
    upstream: Upstream,
    asked?: CriVersion,
    spoken?: CriVersion,
  ): void {
    const path = headers[':path'] ?? ''
    if (stream.closed) {
      // Who resets calls as fast as it makes them keeps nobody but us busy.
      onCall?.(path, GRPC_STATUS.canceled)
      return
    }
    const request = requestHeaders(headers, raw)
    const isBridged = asked !== undefined && spoken !== undefined && asked !== spoken
    if (isBridged) request[':path'] = inVersion(path, spoken)
    try {
      const upstreamCall = sendHeaders(request, (each) =>
        upstream.request(each, { endStream: stream.endAfterHeaders }),
      )
      const onDone = (code: number): void => {
        calls.delete(call)
        onCall?.(path, code)
      }
      const patch = isBridged ? answerFor(path, asked) : undefined
      const edits =
        patch === undefined
          ? asked && options.rewrite?.(path)
          : { response: bodyEdit(patch, logger) }
      const call = relayCall(stream, upstreamCall, onDone, edits)
      calls.set(call, path)
    } catch (error) {
      logger.warn({ err: error, path }, 'a request could not be relayed')
      respondWithStatus(stream, GRPC_STATUS.internal, 'the request could not be relayed')
      onCall?.(path, GRPC_STATUS.internal)
    }
  }

  function accept(connection: Socket): void {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
    const watch = (session: ServerHttp2Session): void =>
      endWhenDead(session, connection, options.lookMs)
    openConnection(connection, (opened) => {
      server.once('session', watch).emit('connection', opened)
      server.off('session', watch)
    })
  }

  function failAll(isMeant: (path: string) => boolean): void {
    for (const [call, path] of calls) {
      if (isMeant(path)) call.fail(GRPC_STATUS.unavailable, 'image-resolver is shutting down')
    }
  }

  async function close({ graceMs, pullGraceMs = graceMs }: Grace): Promise<void> {
    isClosing = true
    const closed = Promise.all([...sessions].map(closeSession))
    await atMost(graceMs, closed)
    failAll((path) => !PULL.test(path))
    await atMost(Math.max(0, pullGraceMs - graceMs), closed)
    failAll(() => true)
    await atMost(FAREWELL_MS, closed)
    for (const connection of connections) connection.destroy()
  }

  return { accept, close }
}

/** Not by the callback of close(): for a client that has said goodbye already, Node never calls it. */
function closeSession(session: ServerHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    session.once('close', () => resolve())
    session.close()
  })
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const limit = new AbortController()
  const timeUp = delay(ms, undefined, { signal: limit.signal }).catch(() => {})
  await Promise.race([work, timeUp])
  limit.abort()
}

/** One line when the runtime goes and one when it comes back, however many calls find out. */
function runtimeReport(
  socket: string,
  logger: Logger,
): { readonly onUp: () => void; readonly onDown: (message: string) => void } {
  let isDown = false
  return {
    onUp: () => {
      if (isDown) logger.info({ socket }, 'the runtime answers again')
      isDown = false
    },
    onDown: (message) => {
      if (!isDown) logger.warn({ socket, message }, 'the runtime does not answer')
      isDown = true
    },
  }
}
