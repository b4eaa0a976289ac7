import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Connection } from '../http2/connection.ts'
import { type HeaderList, headerValue } from '../http2/header-list.ts'
import type { Stream, StreamHandler } from '../http2/stream.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { SpokenVersions } from '../runtime/versions.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { AskStatus } from './ask.ts'
import { answerWith, RelayedCall } from './call.ts'
import { GRPC_STATUS, isGrpc, requestHeaders, statusAnswer } from './headers.ts'
import type { Rewrite } from './rewrite.ts'
import { bodyEdit } from './rewrite-frames.ts'
import { createUpstream, type Link } from './upstream.ts'
import { answerFor, inVersion, versionOf } from './version-bridge.ts'

/** For the first words of a client. After that an idle one may wait as long as it likes. */
const OPENING_MS = 10_000
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
  readonly versions?: (ask: AskStatus) => SpokenVersions
  /** What is changed in relayed calls; absent: nothing. */
  readonly rewrite?: Rewrite | undefined
  readonly logger: Logger
  /** How long a client may take to begin to speak HTTP/2, in milliseconds. Default 10,000. */
  readonly openingMs?: number
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
  const { logger, onCall, owned, rewrite } = options
  const clients = new Map<Connection, Socket>()
  const calls = new Map<RelayedCall, string>()
  let isClosing = false
  let onAllGone = (): void => {}
  const report = runtimeReport(options.runtimeSocket, logger)
  const onDefect = (error: unknown): void => logger.error({ err: error }, 'unexpected error')

  function accept(socket: Socket): void {
    const runtime = createUpstream({
      name: options.runtimeSocket,
      connect: () => connect(options.runtimeSocket),
      versions: options.versions,
      onDefect,
      ...report,
    })
    const connectInside = options.ownedConnect
    const inProcess = createUpstream({ name: 'in-process', connect: connectInside, onDefect })
    const opening = setTimeout(() => socket.destroy(), options.openingMs ?? OPENING_MS)
    const client = new Connection(socket, {
      role: 'server',
      onStream: (stream, list, isEnd) => {
        const path = headerValue(list, ':path') ?? ''
        if (!owned.has(path)) return relay(stream, list, isEnd, runtime.link(), versionOf(path))
        // grpc-js would answer this to a client that has left already, and end the process by it.
        if (!isGrpc(list)) return refuse(stream, path)
        return relay(stream, list, isEnd, inProcess.link())
      },
      onGreeted: () => clearTimeout(opening),
      onDefect,
      onClosed: (cause) => {
        clearTimeout(opening)
        if (cause !== undefined) logger.debug({ err: cause }, 'a client broke off')
        clients.delete(client)
        runtime.close()
        inProcess.close()
        if (clients.size === 0) onAllGone()
      },
    })
    clients.set(client, socket)
    if (isClosing) client.goAway()
  }

  function relay(
    client: Stream,
    list: HeaderList,
    isEnd: boolean,
    link: Link,
    asked?: CriVersion,
  ): StreamHandler {
    const path = headerValue(list, ':path') ?? ''
    const edits = asked === undefined ? undefined : rewrite?.(path)
    const onDone = (code: number): void => {
      calls.delete(call)
      onCall?.(path, code)
    }
    const call = new RelayedCall(client, link, { edits, onDone })
    calls.set(call, path)
    const begin = (spoken = asked): void => {
      if (asked === undefined || spoken === undefined || asked === spoken) {
        call.begin(requestHeaders(list), isEnd)
        return
      }
      const patch = answerFor(path, asked)
      const edit = patch === undefined ? undefined : bodyEdit(patch, logger)
      call.begin(requestHeaders(list, inVersion(path, spoken)), isEnd, edit)
    }
    const spoken = asked === undefined ? undefined : link.spoken(asked)
    if (spoken instanceof Promise) void spoken.then(begin)
    else begin(spoken)
    return call.fromClient
  }

  /** In the words of grpc-go. */
  function refuse(client: Stream, path: string): StreamHandler {
    const code = GRPC_STATUS.invalidArgument
    answerWith(client, statusAnswer(code, 'invalid gRPC request content-type', 415))
    const pass = (): void => {}
    const onEnd = (): void => onCall?.(path, code)
    return {
      onHeaders: pass,
      onData: (bytes) => client.consumed(bytes.length),
      onDrain: pass,
      onEnd,
    }
  }

  function failAll(isMeant: (path: string) => boolean): void {
    for (const [call, path] of calls) {
      if (isMeant(path)) call.fail(GRPC_STATUS.unavailable, 'image-resolver is shutting down')
    }
  }

  async function close({ graceMs, pullGraceMs = graceMs }: Grace): Promise<void> {
    isClosing = true
    const closed = new Promise<void>((resolve) => {
      onAllGone = resolve
      if (clients.size === 0) resolve()
    })
    for (const client of clients.keys()) client.goAway()
    await atMost(graceMs, closed)
    failAll((path) => !PULL.test(path))
    await atMost(Math.max(0, pullGraceMs - graceMs), closed)
    failAll(() => true)
    await atMost(FAREWELL_MS, closed)
    for (const socket of clients.values()) socket.destroy()
  }

  return { accept, close }
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
