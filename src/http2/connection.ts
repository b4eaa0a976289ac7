import type { Duplex } from 'node:stream'
import { ConnectionError } from './errors.ts'
import { FrameWriter } from './frame-writer.ts'
import {
  DEFAULT_WINDOW_BYTES,
  ERROR_CODE,
  FRAME_TYPE,
  frame,
  goAwayFrame,
  numberFrame,
  PREFACE,
} from './frames.ts'
import { IdleFrames } from './idle-frames.ts'
import { Inbound } from './inbound.ts'
import { LIMITS } from './limits.ts'
import { QueuedBytes } from './queued-bytes.ts'
import type { OnStream } from './receiver.ts'
import { Session } from './session.ts'
import { writeSettings } from './settings.ts'
import type { Stream, StreamHandler } from './stream.ts'

const NOTHING = Buffer.alloc(0)

export interface ConnectionOptions {
  readonly role: 'client' | 'server'
  /** A call of the peer's; only in the role of the server. */
  readonly onStream?: OnStream
  /** The peer's first SETTINGS have come. */
  readonly onSettingsReceived?: () => void
  /**
   * Nothing comes or goes any more; its streams are told after this.
   *
   * @param cause a ConnectionError where the peer broke the rules, or we cannot go on; else the error of
   *   the transport; absent: the peer has left
   */
  readonly onClosed: (cause: Error | undefined) => void
  /** Something of ours went wrong that nobody has thought of. */
  readonly onDefect: (error: unknown) => void
  /** Counts what is held for the peer; by default this connection stands alone. */
  readonly queue?: QueuedBytes
  /** Milliseconds of a monotonic clock. Default: this process's. */
  readonly now?: () => number
}

/**
 * One end of an HTTP/2 connection (RFC 9113), with what gRPC needs of it: no push, no priorities. It
 * speaks HTTP/2 from its first byte on (section 3.3).
 *
 * The peer's rules are kept towards it, and ours are seen to: frames and header blocks of bounded
 * size, streams of bounded number, each with a window. Who breaks them gets GOAWAY or RST_STREAM with
 * the code that RFC 9113 says.
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
  #hasHungUp = false
  #isLeaving = false

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
    if (options.role === 'client') this.#greet(PREFACE)
    let cause: Error | undefined
    transport
      .on('data', (chunk: Buffer) => {
        this.#receive(chunk)
        this.#takeTurns(chunk)
      })
      .on('drain', () => this.#session.resume())
      .on('error', (error) => {
        cause = error
      })
      .on('end', () => this.#close(cause))
      .on('close', () => this.#close(cause))
  }

  /** Whether calls can be made here. */
  get isOpen(): boolean {
    const isLeaving = this.#isClosed || this.#session.isDraining || this.#isPeerDraining
    return !isLeaving && !this.#session.isSpent
  }

  /** Whether no call is under way. */
  get isIdle(): boolean {
    return this.#session.isEmpty
  }

  /** Whether the peer has said its first words. */
  get settingsReceived(): boolean {
    return this.#inbound.settingsReceived
  }

  /** A call of our own, which Stream.begin begins; only in the role of the client. */
  open(handler: StreamHandler): Stream {
    return this.#session.open(handler)
  }

  /** Takes no new calls, and closes when the last one has ended. */
  goAway(): void {
    if (this.#session.isDraining || this.#isClosed) return
    this.#session.refuseNew()
    // A peer that has not spoken yet wants SETTINGS first.
    if (this.#missingPreface.length === 0) {
      this.#session.say(goAwayFrame(this.#session.lastHeardId, ERROR_CODE.noError))
    }
    this.#closeWhenIdle()
  }

  /** Closes now; who is there hears that what is under way is cancelled. */
  destroy(): void {
    this.#session.cancelAll()
    this.goAway()
    this.#hangUp()
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
    if (this.#writer.isFlooded) this.#transport.destroy(new Error('it asks and does not read'))
    if (!hadSettings && this.settingsReceived && !this.#isClosed)
      this.#options.onSettingsReceived?.()
  }

  /**
   * While whole chunks come, libuv goes on reading from one client, up to 2 MiB, before it looks at the
   * others: after each it is their turn.
   */
  #takeTurns(chunk: Buffer): void {
    if (chunk.length < LIMITS.chunkBytes || this.#options.role === 'client') return
    this.#transport.pause()
    setImmediate(() => this.#transport.resume())
  }

  /** @returns what comes behind it */
  #readPreface(chunk: Buffer): Buffer {
    const missing = this.#missingPreface
    const bytes = Math.min(missing.length, chunk.length)
    if (chunk.compare(missing, 0, bytes, 0, bytes) !== 0) {
      this.#transport.destroy(new Error('it does not speak HTTP/2'))
      return NOTHING
    }
    this.#missingPreface = missing.subarray(bytes)
    if (this.#missingPreface.length === 0) this.#greet(NOTHING)
    return chunk.subarray(bytes)
  }

  #greet(preface: Buffer): void {
    const settings = writeSettings({
      ...(this.#options.role === 'client' ? { enablePush: 0 } : {}),
      maxConcurrentStreams: LIMITS.streams,
      initialWindowSize: LIMITS.streamWindowBytes,
      maxHeaderListSize: LIMITS.headerListBytes,
    })
    const more = LIMITS.connectionWindowBytes[this.#options.role] - DEFAULT_WINDOW_BYTES
    const first = frame(FRAME_TYPE.settings, 0, 0, settings)
    const window = numberFrame(FRAME_TYPE.windowUpdate, 0, more)
    this.#session.say(Buffer.concat([preface, first, window]))
  }

  #closeWhenIdle(): void {
    if (this.isOpen || !this.#session.isEmpty || this.#hasHungUp) return
    this.#hasHungUp = true
    this.#writer.flush()
    // A slow reader has all the time that it takes to take the last answer off us.
    this.#transport.end(() => this.#leaveSoon())
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return
    const isTheirs = error instanceof ConnectionError
    if (!isTheirs) this.#options.onDefect(error)
    const told = isTheirs ? error : new ConnectionError(ERROR_CODE.internalError, 'internal error')
    this.#writer.add(goAwayFrame(this.#session.lastHeardId, told.code))
    this.#hangUp()
    this.#close(told)
  }

  /** What was said before still goes out. */
  #hangUp(): void {
    this.#hasHungUp = true
    this.#writer.flush()
    this.#transport.end()
    this.#leaveSoon()
  }

  #leaveSoon(): void {
    if (this.#isLeaving) return
    this.#isLeaving = true
    setTimeout(() => this.#transport.destroy(), LIMITS.farewellMs).unref()
  }

  #close(cause: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClosed(cause)
    this.#session.endAll()
    this.#hangUp()
  }
}
