import type { Duplex } from 'node:stream'
import { FrameWriter } from './frame-writer.ts'
import {
  ConnectionError,
  DEFAULT_WINDOW_BYTES,
  ERROR_CODE,
  FRAME_TYPE,
  frame,
  goAwayFrame,
  numberFrame,
  PREFACE,
  writeSettings,
} from './frames.ts'
import { Inbound } from './inbound.ts'
import { IdleFrames, LIMITS, QueuedBytes } from './limits.ts'
import type { OnStream } from './receiver.ts'
import { Session } from './session.ts'
import type { Stream, StreamHandler } from './stream.ts'

const NOTHING = Buffer.alloc(0)

export interface ConnectionOptions {
  readonly role: 'client' | 'server'
  /** Called for each call of the peer; only in the server role. */
  readonly onStream?: OnStream
  /** The peer's first SETTINGS have arrived. */
  readonly onSettingsReceived?: () => void
  /** Milliseconds that a server has for its first SETTINGS; for the client role. Default of LIMITS. */
  readonly settingsMs?: number
  /**
   * The connection has ended; the handlers of its streams are called after this.
   *
   * @param cause a ConnectionError for a mistake of the peer or a fault here; otherwise the error of the
   *   transport; absent: the peer closed
   */
  readonly onClosed: (cause: Error | undefined) => void
  /** A fault of this process. */
  readonly onDefect: (error: unknown) => void
  /** Counts what is held for the peer. Default: one for this connection alone. */
  readonly queue?: QueuedBytes
  /** Milliseconds of a monotonic clock. Default: this process's. */
  readonly now?: () => number
}

/**
 * One end of an HTTP/2 connection with prior knowledge (RFC 9113, section 3.3), as far as gRPC needs
 * it: no push, no priorities. A peer that exceeds a bound of LIMITS or violates the protocol gets GOAWAY
 * or RST_STREAM with the code of RFC 9113.
 */
export class Connection {
  readonly #transport: Duplex
  readonly #options: ConnectionOptions
  readonly #writer: FrameWriter
  readonly #session: Session
  readonly #inbound: Inbound
  #missingPreface: Buffer
  #isPeerDraining = false
  #isClosed = false
  #hasEnded = false
  #isDestroying = false

  constructor(transport: Duplex, options: ConnectionOptions) {
    this.#transport = transport
    this.#options = options
    const { now, queue = new QueuedBytes() } = options
    const idleFrames = options.role === 'server' ? new IdleFrames(now) : undefined
    this.#writer = new FrameWriter(transport, queue)
    this.#session = new Session({
      role: options.role,
      writer: this.#writer,
      queue,
      idleFrames,
      onStream: options.onStream,
      onGoAway: () => {
        this.#isPeerDraining = true
        this.#closeWhenIdle()
      },
      onIdle: () => this.#closeWhenIdle(),
      onFailed: (error) => this.#fail(error),
      onDefect: options.onDefect,
    })
    this.#inbound = new Inbound(this.#session.events, {
      maxListBytes: LIMITS.headerListBytes,
      ...(idleFrames !== undefined && { client: { idleFrames, queue } }),
    })
    this.#missingPreface = options.role === 'server' ? PREFACE : NOTHING
    if (options.role === 'client') {
      this.#sendPreface(PREFACE)
      this.#awaitSettings(options.settingsMs ?? LIMITS.settingsMs)
    }
    let cause: Error | undefined
    transport
      .on('data', (chunk: Buffer) => {
        this.#receive(chunk)
        this.#yieldAfter(chunk)
      })
      .on('drain', () => this.#session.resume())
      .on('error', (error) => {
        cause = error
      })
      .on('end', () => this.#close(cause))
      .on('close', () => this.#close(cause))
  }

  /** Whether new calls can be made. */
  get isOpen(): boolean {
    const isClosing = this.#isClosed || this.#session.isDraining || this.#isPeerDraining
    return !isClosing && !this.#session.isExhausted
  }

  /** Whether no call is under way. */
  get isIdle(): boolean {
    return this.#session.isEmpty
  }

  /** Whether the peer's first SETTINGS have arrived. */
  get settingsReceived(): boolean {
    return this.#inbound.settingsReceived
  }

  /** A new call, which Stream.begin starts; only in the client role. */
  open(handler: StreamHandler): Stream {
    return this.#session.open(handler)
  }

  /** Refuses new calls, and closes when the last one has ended. */
  goAway(): void {
    if (this.#session.isDraining || this.#isClosed) return
    this.#session.drain()
    // The first frame to a peer has to be SETTINGS.
    if (this.#missingPreface.length === 0) {
      this.#session.write(goAwayFrame(this.#session.lastPeerStreamId, ERROR_CODE.noError))
    }
    this.#closeWhenIdle()
  }

  /** Cancels every call and closes; the peer gets the resets. */
  destroy(): void {
    this.#session.cancelAll()
    this.goAway()
    this.#endTransport()
  }

  #receive(chunk: Buffer): void {
    if (this.#isClosed) return
    const hadSettings = this.settingsReceived
    try {
      const bytes = this.#missingPreface.length === 0 ? chunk : this.#readPreface(chunk)
      if (bytes.length > 0) this.#inbound.push(bytes)
    } catch (error) {
      this.#fail(error)
    }
    if (this.#writer.isOverfull)
      this.#transport.destroy(new Error('the client sends requests and does not read'))
    if (!hadSettings && this.settingsReceived && !this.#isClosed)
      this.#options.onSettingsReceived?.()
  }

  /**
   * libuv reads up to 2 MiB from one client before it serves the next. Pausing after each full chunk
   * gives the other clients their turn.
   */
  #yieldAfter(chunk: Buffer): void {
    if (chunk.length < LIMITS.chunkBytes || this.#options.role === 'client') return
    this.#transport.pause()
    setImmediate(() => this.#transport.resume())
  }

  /** @returns the bytes after the preface */
  #readPreface(chunk: Buffer): Buffer {
    const missing = this.#missingPreface
    const bytes = Math.min(missing.length, chunk.length)
    if (chunk.compare(missing, 0, bytes, 0, bytes) !== 0) {
      this.#transport.destroy(new Error('the client does not speak HTTP/2'))
      return NOTHING
    }
    this.#missingPreface = missing.subarray(bytes)
    if (this.#missingPreface.length === 0) this.#sendPreface(NOTHING)
    return chunk.subarray(bytes)
  }

  /** A connection that is accepted and then left alone would hold its calls as long as their callers wait. */
  #awaitSettings(ms: number): void {
    const timer = setTimeout(() => {
      if (this.settingsReceived) return
      this.#transport.destroy(new Error(`no SETTINGS of HTTP/2 came within ${ms / 1_000} s`))
    }, ms)
    this.#transport.once('close', () => clearTimeout(timer))
  }

  #sendPreface(preface: Buffer): void {
    const settings = writeSettings({
      ...(this.#options.role === 'client' ? { enablePush: 0 } : {}),
      maxConcurrentStreams: LIMITS.streams,
      initialWindowSize: LIMITS.streamWindowBytes[this.#options.role],
      maxHeaderListSize: LIMITS.headerListBytes,
    })
    const more = LIMITS.connectionWindowBytes[this.#options.role] - DEFAULT_WINDOW_BYTES
    const first = frame(FRAME_TYPE.settings, 0, 0, settings)
    const window = numberFrame(FRAME_TYPE.windowUpdate, 0, more)
    this.#session.write(Buffer.concat([preface, first, window]))
  }

  #closeWhenIdle(): void {
    if (this.isOpen || !this.#session.isEmpty || this.#hasEnded) return
    this.#hasEnded = true
    this.#writer.flush()
    // A slow client gets all the time it needs to read the last answer.
    this.#transport.end(() => this.#destroySoon())
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return
    const isTheirs = error instanceof ConnectionError
    if (!isTheirs) this.#options.onDefect(error)
    const reported = isTheirs
      ? error
      : new ConnectionError(ERROR_CODE.internalError, 'internal error')
    this.#writer.add(goAwayFrame(this.#session.lastPeerStreamId, reported.code))
    this.#endTransport()
    this.#close(reported)
  }

  /** Everything that was written before is still sent. */
  #endTransport(): void {
    this.#hasEnded = true
    this.#writer.flush()
    this.#transport.end()
    this.#destroySoon()
  }

  #destroySoon(): void {
    if (this.#isDestroying) return
    this.#isDestroying = true
    setTimeout(() => this.#transport.destroy(), LIMITS.lingerMs).unref()
  }

  #close(cause: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClosed(cause)
    this.#session.connectionLost()
    this.#endTransport()
  }
}
