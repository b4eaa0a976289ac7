import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { Duplex } from 'node:stream'
import { getSystemErrorMap } from 'node:util'
import type { CriVersion } from '../runtime/types.ts'
import type { SpokenVersions } from '../runtime/versions.ts'
import { SESSION_OPTIONS } from './session-options.ts'

/** For the server to hear of the last cancellations. */
const FAREWELL_MS = 1_000

export interface UpstreamOptions {
  /** What the messages call it: the path of the runtime's socket. */
  readonly name: string
  readonly connect: () => Duplex
  /** What the server at the end of a connection speaks; absent: what its callers do. */
  readonly versions?: ((session: ClientHttp2Session) => SpokenVersions) | undefined
  readonly onUp?: () => void
  readonly onDown?: (message: string) => void
}

export interface UpstreamCall {
  readonly stream: ClientHttp2Stream
  /** Says what happened when the connection below the call broke; undefined while it stands. */
  readonly brokenBy: () => string | undefined
}

/**
 * The server behind one client: at most one HTTP/2 session, made when a call needs it and made anew
 * after it died or was told to go away. Calls on an older session finish there.
 */
export interface Upstream {
  request(headers: OutgoingHttpHeaders, options: ClientSessionRequestOptions): UpstreamCall
  /** In which version of CRI the server is to be spoken to, for a client of that one. */
  spoken(asked: CriVersion): CriVersion | Promise<CriVersion>
  /** Cancels what is not cancelled yet; a server that does not listen is not waited for long. */
  close(): void
}

interface Link {
  readonly session: ClientHttp2Session
  readonly versions: SpokenVersions | undefined
  readonly brokenBy: () => string | undefined
}

export function createUpstream(options: UpstreamOptions): Upstream {
  let link: Link | undefined

  function current(): Link {
    if (link === undefined || link.session.closed || link.session.destroyed) {
      link = dial(options)
    }
    return link
  }

  return {
    request: (headers, requestOptions) => {
      const { session, brokenBy } = current()
      return { stream: session.request(headers, requestOptions), brokenBy }
    },
    spoken: (asked) => current().versions?.of(asked) ?? asked,
    close: () => {
      const session = link?.session
      session?.close()
      setTimeout(() => session?.destroy(), FAREWELL_MS).unref()
    },
  }
}

function dial({ name, connect: connectTo, versions, onUp, onDown }: UpstreamOptions): Link {
  const socket = connectTo()
  const session = connect('http://localhost', {
    ...SESSION_OPTIONS,
    createConnection: () => socket,
  })
  let isUp = false
  let cause: Error | undefined
  // The socket knows first: the streams are closed before the session tells of its error.
  socket.once('error', (error) => {
    cause = error
  })
  session.once('connect', () => {
    isUp = true
    onUp?.()
  })
  session.on('error', (error) => {
    cause ??= error
    if (!isUp) onDown?.(dialFailure(name, error))
  })

  return {
    session,
    versions: versions?.(session),
    brokenBy: () => {
      if (!socket.destroyed && !session.destroyed) return undefined
      return isUp ? readFailure(name, cause) : dialFailure(name, cause)
    },
  }
}

// The words of grpc-go, which the people and the tools around kubelet know.

function dialFailure(name: string, cause: Error | undefined): string {
  const dialled = `dial unix ${name}: connect: ${reason(cause)}`
  return `connection error: desc = "transport: error while dialing: ${dialled}"`
}

function readFailure(name: string, cause: Error | undefined): string {
  return `error reading from server: read unix ${name}: ${reason(cause)}`
}

function reason(cause: Error | undefined): string {
  if (cause === undefined) return 'EOF'
  const { errno } = cause as NodeJS.ErrnoException
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)
  return known?.[1] ?? cause.message
}
