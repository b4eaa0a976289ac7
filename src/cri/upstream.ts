import type { Duplex } from 'node:stream'
import { getSystemErrorMap } from 'node:util'
import { Connection } from '../http2/connection.ts'
import type { QueuedBytes } from '../http2/limits.ts'
import type { Stream, StreamHandler } from '../http2/stream.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { SpokenVersions } from '../runtime/versions.ts'
import type { Logger } from '../telemetry/log.ts'
import { type AskStatus, askOn } from './version-bridge.ts'

const SHOWS_IMAGES = /\.ImageService\/(?:ListImages|ImageStatus|StreamImages)$/

/**
 * Repairs the names of images that an interrupted pull has left, so that no call shows them.
 *
 * @param isPatient whether the runtime answers, so that waiting makes sense
 * @returns undefined: nothing to repair; never rejects
 */
export type Settle = (isPatient: boolean) => Promise<void> | undefined

export interface UpstreamOptions {
  /** For messages. */
  readonly name: string
  readonly connect: () => Duplex
  /** Which versions of CRI the runtime at the end of a connection serves; absent: all. */
  readonly versions?: ((ask: AskStatus) => SpokenVersions) | undefined
  /** Calls that show images wait for this; absent: nothing. */
  readonly settle?: Settle | undefined
  /** Counts what is held for the client. */
  readonly queue: QueuedBytes
  readonly onDefect: (error: unknown) => void
  /** Shared by all clients. */
  readonly log: RuntimeLog
}

/** One connection to the runtime. */
export interface Link {
  open(handler: StreamHandler): Stream
  /** Why its calls failed, in the words of grpc-go, which kubelet's users know. */
  brokenBy(): string
  /**
   * The version of CRI in which a call goes to the runtime, once it may go.
   *
   * @param asked the version of the client
   */
  version(path: string, asked: CriVersion): CriVersion | Promise<CriVersion>
}

/**
 * The runtime for one client: at most one connection, made when a call needs it and again after it
 * died or refused new calls. Calls on an older connection finish there.
 */
export class Upstream {
  readonly #options: UpstreamOptions
  #connection: Connection | undefined
  #link: Link | undefined

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  link(): Link {
    if (this.#link === undefined || this.#connection?.isOpen !== true) this.#link = this.#dial()
    return this.#link
  }

  /** Cancels every call and closes. */
  close(): void {
    this.#connection?.destroy()
  }

  #dial(): Link {
    const { name, connect, queue, versions, settle, onDefect, log } = this.#options
    let broken: string | undefined
    const connection = new Connection(connect(), {
      role: 'client',
      queue,
      onSettingsReceived: () => {
        log.up()
        void settle?.(true)
      },
      onDefect,
      onClosed: (cause) => {
        broken = connection.settingsReceived ? readFailure(name, cause) : dialFailure(name, cause)
        if (!connection.settingsReceived) log.down(broken)
      },
    })
    this.#connection = connection
    const spoken = versions?.(askOn(connection))
    const settled = (): Promise<void> | undefined =>
      settle?.(connection.settingsReceived && connection.isOpen)
    return {
      open: (handler) => connection.open(handler),
      brokenBy: () => broken ?? 'the connection is draining',
      version: (path, asked) => {
        const found = spoken?.of(asked) ?? asked
        if (!SHOWS_IMAGES.test(path)) return found
        if (!(found instanceof Promise)) return settled()?.then(() => found) ?? found
        return found.then(async (version) => {
          await settled()
          return version
        })
      },
    }
  }
}

/** Logs once when the runtime goes away and once when it is back. */
export class RuntimeLog {
  readonly #socket: string
  readonly #logger: Pick<Logger, 'info' | 'warn'>
  #isDown = false

  constructor(socket: string, logger: Pick<Logger, 'info' | 'warn'>) {
    this.#socket = socket
    this.#logger = logger
  }

  up(): void {
    if (this.#isDown) this.#logger.info({ socket: this.#socket }, 'the runtime answers again')
    this.#isDown = false
  }

  down(message: string): void {
    const fields = { socket: this.#socket, message }
    if (!this.#isDown) {
      this.#logger.warn(fields, 'the runtime does not answer')
    }
    this.#isDown = true
  }
}

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
