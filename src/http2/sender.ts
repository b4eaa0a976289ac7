import type { FrameWriter } from './frame-writer.ts'
import {
  ConnectionError,
  DEFAULT_WINDOW_BYTES,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  frameHeader,
  MAX_INT31,
  MAX_PAYLOAD_BYTES,
} from './frames.ts'
import type { HeaderList } from './headers.ts'
import { encodeHeaders } from './hpack/encoder.ts'
import type { IdleFrames } from './limits.ts'
import type { Stream } from './stream.ts'

/**
 * A dynamic table size update to 0 (RFC 7541, section 6.3): the peer may reduce its table at any time
 * and then requires this acknowledgement.
 */
const NO_TABLE = Buffer.of(0x20)

/** queueMicrotask makes an AsyncResource each time. */
const SETTLED = Promise.resolve()

export interface SenderOptions {
  readonly writer: FrameWriter
  /** Of a client, which earns them by reading answers. */
  readonly idleFrames?: Pick<IdleFrames, 'earn'> | undefined
  /** @returns a number for an outgoing stream; undefined: it has to wait */
  readonly place: (stream: Stream) => number | undefined
  /** END_STREAM was sent. */
  readonly onEnded: (stream: Stream) => void
  /** The stream is to be reset now; everything before it was sent. */
  readonly onReset: (stream: Stream, code: number) => void
  /** Sending threw. */
  readonly onFailed: (error: unknown) => void
}

/**
 * Sends what waits on the streams of one connection, within the peer's windows and round-robin by
 * frame. Everything that is added in one turn of the event loop goes out in one write.
 */
export class Sender {
  readonly #options: SenderOptions
  /** Streams that may have something to send. */
  readonly #ready = new Set<Stream>()
  /** Streams that wait for the window of the connection. */
  readonly #starved = new Set<Stream>()
  #window = DEFAULT_WINDOW_BYTES
  #initialWindow = DEFAULT_WINDOW_BYTES
  #isScheduled = false
  #hasEncoded = false

  constructor(options: SenderOptions) {
    this.#options = options
  }

  ready(stream: Stream): void {
    this.#ready.add(stream)
    this.schedule()
  }

  forget(stream: Stream): void {
    this.#ready.delete(stream)
    this.#starved.delete(stream)
    stream.forget()
  }

  /** Sends before the event loop continues, after the promises that are settled by then: one write for all of it. */
  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    void SETTLED.then(this.#afterPromises)
  }

  readonly #afterPromises = (): void => process.nextTick(this.#runScheduled)

  readonly #runScheduled = (): void => {
    this.#isScheduled = false
    try {
      this.#run()
    } catch (error) {
      this.#options.onFailed(error)
    }
  }

  /** @throws ConnectionError FLOW_CONTROL_ERROR */
  widen(bytes: number): void {
    this.#window = sum(this.#window, bytes)
    for (const stream of this.#starved) this.ready(stream)
    this.#starved.clear()
  }

  /** @returns false: the window would be too large (RFC 9113, section 6.9.1) */
  widenStream(stream: Stream, bytes: number): boolean {
    if (stream.sendWindow + bytes > MAX_INT31) return false
    stream.sendWindow += bytes
    this.ready(stream)
    return true
  }

  /** Also changes the windows of open streams (RFC 9113, section 6.9.2). */
  setInitialWindow(bytes: number, streams: Iterable<Stream>): void {
    const more = bytes - this.#initialWindow
    this.#initialWindow = bytes
    for (const stream of streams) {
      stream.sendWindow = sum(stream.sendWindow, more)
      this.ready(stream)
    }
  }

  /** The stream has its number. */
  opened(stream: Stream): void {
    stream.sendWindow = this.#initialWindow
  }

  #run(): void {
    const { writer } = this.#options
    // A stream with more to send goes to the end of the set.
    for (const stream of this.#ready) {
      if (writer.isFull) break
      this.#ready.delete(stream)
      if (this.#sendSome(stream)) this.#ready.add(stream)
    }
    writer.flush()
  }

  /** @returns whether the stream can send more at once */
  #sendSome(stream: Stream): boolean {
    const { place } = this.#options
    for (let next = stream.next(); next !== undefined; next = stream.next()) {
      if (stream.id === 0) {
        const id = next.kind === 'headers' ? place(stream) : undefined
        if (id === undefined) return false
        stream.id = id
        this.opened(stream)
      }
      if (next.kind === 'data') {
        const bytes = this.#room(stream, next.bytes.length)
        if (bytes === undefined) return false
        this.#sendData(stream, next.bytes, bytes, next.isEnd)
        // Other streams send before its next body.
        if (stream.next()?.kind === 'data') return true
        if (!stream.isClosed) stream.handler.onDrain()
      } else {
        stream.sent(0)
        if (next.kind === 'headers') this.#sendHeaders(stream, next.list, next.isEnd)
        else this.#options.onReset(stream, next.code)
      }
      if (stream.isClosed) return false
    }
    return false
  }

  /** @returns how many bytes of a body fit now; undefined: it has to wait */
  #room(stream: Stream, bytes: number): number | undefined {
    if (bytes === 0) return 0
    const room = Math.min(bytes, stream.sendWindow, this.#window, MAX_PAYLOAD_BYTES)
    if (room > 0) return room
    if (stream.sendWindow > 0) this.#starved.add(stream)
    return undefined
  }

  #sendData(stream: Stream, body: Buffer, bytes: number, isLast: boolean): void {
    const { idleFrames, writer } = this.#options
    idleFrames?.earn()
    const isEnd = isLast && bytes === body.length
    stream.sent(bytes)
    stream.sendWindow -= bytes
    this.#window -= bytes
    writer.add(frameHeader(bytes, FRAME_TYPE.data, isEnd ? FRAME_FLAG.endStream : 0, stream.id))
    if (bytes > 0) writer.add(bytes === body.length ? body : body.subarray(0, bytes))
    if (isEnd) this.#options.onEnded(stream)
  }

  #sendHeaders(stream: Stream, list: HeaderList, isEnd: boolean): void {
    const { idleFrames, writer } = this.#options
    idleFrames?.earn()
    const encoded = encodeHeaders(list)
    const block = this.#hasEncoded ? encoded : Buffer.concat([NO_TABLE, encoded])
    this.#hasEncoded = true
    let type: number = FRAME_TYPE.headers
    let flags = isEnd ? FRAME_FLAG.endStream : 0
    let offset = 0
    do {
      const end = Math.min(offset + MAX_PAYLOAD_BYTES, block.length)
      if (end === block.length) flags |= FRAME_FLAG.endHeaders
      writer.add(frameHeader(end - offset, type, flags, stream.id))
      writer.add(end - offset === block.length ? block : block.subarray(offset, end))
      type = FRAME_TYPE.continuation
      flags = 0
      offset = end
    } while (offset < block.length)
    if (isEnd) this.#options.onEnded(stream)
  }
}

function sum(window: number, bytes: number): number {
  if (window + bytes <= MAX_INT31) return window + bytes
  throw new ConnectionError(ERROR_CODE.flowControlError, 'a window that is too wide')
}
