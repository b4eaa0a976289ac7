import type { Duplex } from 'node:stream'
import { getSystemErrorMap } from 'node:util'
import { Connection } from '../http2/connection.ts'
import type { QueuedBytes } from '../http2/queued-bytes.ts'
import type { Stream, StreamHandler } from '../http2/stream.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { SpokenVersions } from '../runtime/versions.ts'
import { type AskStatus, askOn } from './ask.ts'

export interface UpstreamOptions {
  /** Where it is, for messages. */
  readonly name: string
  readonly connect: () => Duplex
  /** What the server at the other end speaks, which it can be asked. */
  readonly versions?: ((ask: AskStatus) => SpokenVersions) | undefined
  /** Counts what is held for the client. */
  readonly queue: QueuedBytes
  readonly onDefect: (error: unknown) => void
  readonly onUp?: () => void
  readonly onDown?: (message: string) => void
}

/** One connection to a server behind us. */
export interface Link {
  open(handler: StreamHandler): Stream
  /** Why calls on it came to nothing. */
  brokenBy(): string
  /** Whether the server has answered on it, and it is open still. */
  isUp(): boolean
  /** In which version of CRI the server is to be spoken to, for a client of that one. */
  spoken(asked: CriVersion): CriVersion | Promise<CriVersion>
}

/**
 * The server behind one client: at most one connection, made when a call needs it and made anew
 * after it died or was told to go away. Calls on an older connection finish there.
 */
export interface Upstream {
  link(): Link
  /** Cancels what is not cancelled yet; a server that does not listen is not waited for long. */
  close(): void
}

export function createUpstream(options: UpstreamOptions): Upstream {
  let connection: Connection | undefined
  let link: Link | undefined
  return {
    link: () => {
      if (connection === undefined || link === undefined || !connection.isOpen) {
        ;({ connection, link } = dial(options))
      }
      return link
    },
    close: () => connection?.destroy(),
  }
}

function dial({ name, connect, queue, versions, onDefect, onUp, onDown }: UpstreamOptions): {
  readonly connection: Connection
  readonly link: Link
} {
  let broken: string | undefined
  const connection = new Connection(connect(), {
    role: 'client',
    queue,
    onSettingsReceived: () => onUp?.(),
    onDefect,
    onClosed: (cause) => {
      broken = connection.settingsReceived ? readFailure(name, cause) : dialFailure(name, cause)
      if (!connection.settingsReceived) onDown?.(broken)
    },
  })
  const spoken = versions?.(askOn(connection))
  const link: Link = {
    open: (handler) => connection.open(handler),
    brokenBy: () => broken ?? 'the connection is draining',
    isUp: () => connection.settingsReceived && connection.isOpen,
    spoken: (asked) => spoken?.of(asked) ?? asked,
  }
  return { connection, link }
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
