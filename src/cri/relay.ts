import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Connection } from '../http2/connection.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import { QueuedBytes, QueueTotal } from '../http2/queued-bytes.ts'
import type { Stream, StreamHandler } from '../http2/stream.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { SpokenVersions } from '../runtime/versions.ts'
import type { Logger } from '../telemetry/log.ts'
import type { AskStatus } from './ask.ts'
import { RelayedCall, refuseWith } from './call.ts'
import { GRPC_STATUS, isGrpc, requestHeaders, statusAnswer, statusOf } from './headers.ts'
import { OwnedCall, type OwnedMethod } from './owned-call.ts'
import { crowdReport, runtimeReport } from './relay-reports.ts'
import { bodyEdit } from './rewrite/body-edit.ts'
import type { Rewrite } from './rewrite/rewrite.ts'
import { type Settle, whenSettled } from './settled.ts'
import { createUpstream, type Link } from './upstream.ts'
import { answerFor, inVersion, versionOf } from './version-bridge.ts'

/** For the first words of a client. After that an idle one may wait as long as it likes. */
const OPENING_MS = 10_000
/** After the grace a client gets this long to take the last statuses off us. */
const FAREWELL_MS = 500
/** Clients at once: each has two descriptors. A node has some ten. */
const MAX_CLIENTS = 512
const PULL = /\.ImageService\/PullImage$/
/** Never ends by itself, so that nothing waits for it. */
const ENDLESS = /\.RuntimeService\/GetContainerEvents$/
const SHUTTING_DOWN = 'image-resolver is shutting down'
const RESTARTING = 'image-resolver is restarting: the pull was not begun, and can be tried again'

export interface RelayOptions {
  readonly runtimeSocket: string
  /** Methods that are answered in this process, by path (`/package.Service/Method`). Asked at each call. */
  readonly owned: Pick<ReadonlyMap<string, OwnedMethod>, 'get'>
  /**
   * What the runtime at the end of a connection speaks. Callers of another version are put through
   * in that one; absent: all as they came.
   */
  readonly versions?: (ask: AskStatus) => SpokenVersions
  /** What calls that show images wait for; absent: nothing. */
  readonly settle?: Settle | undefined
  /** What is changed in relayed calls; absent: nothing. */
  readonly rewrite?: Rewrite | undefined
  readonly logger: Logger
  /** How long a client may take to begin to speak HTTP/2, in milliseconds. Default 10,000. */
  readonly openingMs?: number
  /** Clients at once; then the idle one that was used longest ago has to go. Default 512. */
  readonly maxClients?: number
  /** Told of each call when it has ended, with its gRPC code. */
  readonly onCall?: ((path: string, code: number) => void) | undefined
}

export interface Relay {
  /** Serves a client from the first byte of its connection to the last. */
  accept(connection: Socket): void
  /**
   * Takes no new pulls, and serves everything else. Resolves when the calls under way have ended, or
   * their grace has; pulls are then ended with UNAVAILABLE.
   */
  drain(grace: Grace): Promise<void>
  /**
   * Tells the clients to go away, ends streams, gives other calls under way so long to finish, ends
   * those that did not with UNAVAILABLE, and closes the connections.
   */
  close(grace: Pick<Grace, 'graceMs'>): Promise<void>
}

export interface Grace {
  readonly graceMs: number
  /** For PullImage, which takes minutes, and whose work is lost when it is ended; default graceMs. */
  readonly pullGraceMs?: number
}

/**
 * Answers calls of owned methods, and puts every other HTTP/2 stream of a client through to the runtime
 * without looking into it: methods that nobody has thought of yet pass like any other. Each client has a
 * session of its own behind it, so that it gets its own flow control and its end is the session's. While the runtime is away its calls end with UNAVAILABLE; nothing else happens.
 */
export function createRelay(options: RelayOptions): Relay {
  const { logger, maxClients = MAX_CLIENTS, onCall, owned, rewrite, settle } = options
  /** The one that was used last is the last. */
  const clients = new Map<Connection, Client>()
  const calls = new Map<RelayedCall | OwnedCall, Under>()
  const total = new QueueTotal()
  let isDraining = false
  let isClosing = false
  let onAllGone = (): void => {}
  const report = runtimeReport(options.runtimeSocket, logger, () => void settle?.(true))
  const crowd = crowdReport(maxClients, logger)
  const onDefect = (error: unknown): void => logger.error({ err: error }, 'unexpected error')

  function accept(socket: Socket): void {
    if (clients.size >= maxClients && !makeRoom()) {
      socket.destroy()
      return
    }
    const queue = new QueuedBytes(total)
    const runtime = createUpstream({
      name: options.runtimeSocket,
      connect: () => connect(options.runtimeSocket),
      versions: options.versions,
      queue,
      onDefect,
      ...report,
    })
    const opening = setTimeout(() => socket.destroy(), options.openingMs ?? OPENING_MS)
    const known: Client = { socket, finite: 0 }
    const client = new Connection(socket, {
      role: 'server',
      queue,
      onStream: (stream, list, isEnd) => {
        clients.delete(client)
        clients.set(client, known)
        const path = headerValue(list, ':path') ?? ''
        if (isDraining && PULL.test(path)) {
          return refuse(stream, path, statusAnswer(GRPC_STATUS.unavailable, RESTARTING))
        }
        const incoming = { stream, list, isEnd, path, queue, known }
        const method = owned.get(path)
        if (method === undefined) return relay(incoming, runtime.link())
        if (!isGrpc(list)) return refuse(stream, path, NO_GRPC)
        return answer(incoming, method)
      },
      onSettingsReceived: () => clearTimeout(opening),
      onDefect,
      onClosed: (cause) => {
        clearTimeout(opening)
        if (cause !== undefined) crowd.onBroken(cause)
        clients.delete(client)
        runtime.close()
        queue.close()
        if (clients.size === 0) onAllGone()
      },
    })
    clients.set(client, known)
    if (isClosing) client.goAway()
  }

  /**
   * A client without a call connects again by itself when it has one; so does one that only listens to
   * events, which never end. Idle ones go first, and of each kind the one whose last call is the oldest:
   * a kubelet that listens also polls.
   */
  function makeRoom(): boolean {
    crowd.onFull()
    const all = [...clients]
    const leaving =
      all.find(([client]) => client.isIdle) ?? all.find(([, { finite }]) => finite === 0)
    if (leaving === undefined) return false
    clients.delete(leaving[0])
    leaving[0].destroy()
    return true
  }

  function answer(incoming: Incoming, method: OwnedMethod): StreamHandler {
    const { stream, list, isEnd, path, queue, known } = incoming
    const call = new OwnedCall(stream, list, isEnd, {
      method,
      queue,
      log: logger,
      onDone: (code) => done(call, known, code),
    })
    began(call, path, known)
    return call.fromClient
  }

  function began(call: RelayedCall | OwnedCall, path: string, known: Client): void {
    calls.set(call, { path, onEnd: () => {} })
    if (!ENDLESS.test(path)) known.finite += 1
  }

  function done(call: RelayedCall | OwnedCall, known: Client, code: number): void {
    const under = calls.get(call)
    if (under === undefined) return
    calls.delete(call)
    if (!ENDLESS.test(under.path)) known.finite -= 1
    under.onEnd()
    onCall?.(under.path, code)
  }

  function relay({ stream, list, isEnd, path, queue, known }: Incoming, link: Link): StreamHandler {
    const asked = versionOf(path)
    const edits = asked === undefined ? undefined : rewrite?.(path)
    const pending: Pending = {}
    const onDone = (code: number): void => {
      delete pending.begin
      done(call, known, code)
    }
    const call = new RelayedCall(stream, link, { edits, queue, onDone })
    began(call, path, known)
    const spoken = asked && whenSettled(link, path, asked, settle)
    if (spoken instanceof Promise) {
      pending.begin = (found) => beginAs(call, { list, isEnd, path, asked, spoken: found })
      beginWhenKnown(pending, spoken)
    } else {
      beginAs(call, { list, isEnd, path, asked, spoken })
    }
    return call.fromClient
  }

  function beginAs(call: RelayedCall, { list, isEnd, path, asked, spoken = asked }: Spoken): void {
    if (asked === undefined || spoken === undefined || asked === spoken) {
      call.begin(requestHeaders(list), isEnd)
      return
    }
    const patch = answerFor(path, asked)
    const edit = patch === undefined ? undefined : bodyEdit(patch, logger)
    call.begin(requestHeaders(list, inVersion(path, spoken)), isEnd, edit)
  }

  function refuse(stream: Stream, path: string, list: HeaderList): StreamHandler {
    return refuseWith(stream, list, () => onCall?.(path, statusOf(list)))
  }

  function failAll(isMeant: (path: string) => boolean): void {
    for (const [call, { path }] of calls) {
      if (isMeant(path)) call.fail(GRPC_STATUS.unavailable, SHUTTING_DOWN)
    }
  }

  /** Resolves when those of the calls that are under way now have ended. */
  function ended(isMeant: (path: string) => boolean): Promise<unknown> {
    const meant = [...calls.values()].filter(({ path }) => isMeant(path))
    return Promise.all(
      meant.map(
        (under) =>
          new Promise<void>((resolve) => {
            under.onEnd = resolve
          }),
      ),
    )
  }

  async function drain({ graceMs, pullGraceMs = graceMs }: Grace): Promise<void> {
    isDraining = true
    const isPull = (path: string): boolean => PULL.test(path)
    await Promise.all([
      atMost(
        graceMs,
        ended((path) => !isPull(path) && !ENDLESS.test(path)),
      ),
      atMost(pullGraceMs, ended(isPull)),
    ])
    failAll(isPull)
  }

  async function close({ graceMs }: Pick<Grace, 'graceMs'>): Promise<void> {
    isDraining = true
    isClosing = true
    const closed = new Promise<void>((resolve) => {
      onAllGone = resolve
      if (clients.size === 0) resolve()
    })
    for (const client of clients.keys()) client.goAway()
    failAll((path) => ENDLESS.test(path))
    await atMost(graceMs, closed)
    failAll(() => true)
    await atMost(FAREWELL_MS, closed)
    for (const { socket } of clients.values()) socket.destroy()
  }

  return { accept, drain, close }
}

/** In the words of grpc-go. */
const NO_GRPC = statusAnswer(GRPC_STATUS.invalidArgument, 'invalid gRPC request content-type', 415)

interface Client {
  readonly socket: Socket
  /** Calls under way that end by themselves. */
  finite: number
}

/** A call under way. */
interface Under {
  readonly path: string
  /** Told once when it has ended. */
  onEnd: () => void
}

/** A call that came in. */
interface Incoming {
  readonly stream: Stream
  readonly list: HeaderList
  readonly isEnd: boolean
  readonly path: string
  readonly queue: QueuedBytes
  readonly known: Client
}

/** A call that waits for the runtime to say its version. */
interface Pending {
  begin?: (spoken: CriVersion) => void
}

/** Apart, so that a call that ends before is not held by the promise. */
function beginWhenKnown(pending: Pending, spoken: Promise<CriVersion>): void {
  void spoken.then((found) => pending.begin?.(found))
}

interface Spoken extends Pick<Incoming, 'list' | 'isEnd' | 'path'> {
  /** The version of CRI that the client speaks; undefined: it is no call of CRI. */
  readonly asked: CriVersion | undefined
  /** The one that the runtime is spoken to in. */
  readonly spoken: CriVersion | undefined
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const limit = new AbortController()
  const timeUp = delay(ms, undefined, { signal: limit.signal }).catch(() => {})
  await Promise.race([work, timeUp])
  limit.abort()
}
