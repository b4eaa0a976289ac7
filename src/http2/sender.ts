import { ConnectionError } from './errors.ts'
import type { FrameWriter } from './frame-writer.ts'
import {
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
import type { IdleFrames } from './idle-frames.ts'
import type { Stream } from './stream.ts'

/**
 * Dynamic table size update to nothing (RFC 7541, section 6.3): the peer may make its table smaller at
 * any time and would then wait to be told that we have seen it.
 */
const NO_TABLE = Buffer.of(0x20)

export interface SenderOptions {
  readonly writer: FrameWriter
  /** Of a client, which earns them by answers that it takes. */
  readonly idleFrames?: Pick<IdleFrames, 'earn'> | undefined
  /** @returns the number of a stream that has none; undefined: it has to wait for its place */
  readonly place: (stream: Stream) => number | undefined
  /** We have said all on it. */
  readonly onEnded: (stream: Stream) => void
  /** It is to be reset now, behind what we had to say. */
  readonly onReset: (stream: Stream, code: number) => void
  /** Something went wrong that nobody has thought of. */
  readonly onFailed: (error: unknown) => void
}

/**
 * Sends what waits on the streams of one connection as far as the peer's windows let it, one frame of
 * each stream in turn. What is given within one turn of the event loop goes out together.
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

  /** What the writer holds goes out before the event loop goes on. */
  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(() => {
      this.#isScheduled = false
      try {
        this.#run()
      } catch (error) {
        this.#options.onFailed(error)
      }
    })
  }

  /** @throws ConnectionError FLOW_CONTROL_ERROR */
  widen(bytes: number): void {
    this.#window = sum(this.#window, bytes)
    for (const stream of this.#starved) this.ready(stream)
    this.#starved.clear()
  }

  /** @returns false: that was too much (RFC 9113, section 6.9.1) */
  widenStream(stream: Stream, bytes: number): boolean {
    if (stream.sendWindow + bytes > MAX_INT31) return false
    stream.sendWindow += bytes
    this.ready(stream)
    return true
  }

  /** As RFC 9113, section 6.9.2: it counts for streams that are open, too. */
  setInitialWindow(bytes: number, streams: Iterable<Stream>): void {
    const more = bytes - this.#initialWindow
    this.#initialWindow = bytes
    for (const stream of streams) {
      stream.sendWindow = sum(stream.sendWindow, more)
      this.ready(stream)
    }
  }

  /** A stream that has got its number. */
  opened(stream: Stream): void {
    stream.sendWindow = this.#initialWindow
  }

  #run(): void {
    const { writer } = this.#options
    // A stream that has more to say is put back, and so comes again after all others.
    for (const stream of this.#ready) {
      if (writer.isFull) break
      this.#ready.delete(stream)
      if (this.#turn(stream)) this.#ready.add(stream)
    }
    writer.flush()
  }

  /** @returns whether there is more to send at once */
  #turn(stream: Stream): boolean {
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
        // Others come first.
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

  /** @returns how many bytes of a body can be sent now; undefined: it has to wait */
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
      writer.add(block.subarray(offset, end))
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
