import {
  ConnectionError,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  FrameReader,
  MAX_INT31,
  protocolError,
  readSettings,
  type Settings,
} from './frames.ts'
import { type Decoded, HpackDecoder } from './hpack/decoder.ts'
import { type IdleFrames, LIMITS, type QueuedBytes } from './limits.ts'

const PRIORITY_BYTES = 5
const STREAM_FRAMES = new Set<number>([
  FRAME_TYPE.data,
  FRAME_TYPE.headers,
  FRAME_TYPE.priority,
  FRAME_TYPE.rstStream,
  FRAME_TYPE.continuation,
])
const CONNECTION_FRAMES = new Set<number>([FRAME_TYPE.settings, FRAME_TYPE.ping, FRAME_TYPE.goAway])

/** The frames of the peer, each checked by itself. */
export interface InboundEvents {
  onHeaders(streamId: number, decoded: Decoded, isEnd: boolean): void
  /** @param windowBytes taken from the windows: the payload with its padding */
  onData(streamId: number, bytes: Buffer, windowBytes: number, isEnd: boolean): void
  onReset(streamId: number, code: number): void
  /** Not for an acknowledgement. */
  onSettings(settings: Settings): void
  onPing(payload: Buffer): void
  /** The peer has not processed streams above `lastStreamId`. */
  onGoAway(lastStreamId: number): void
  onWindowUpdate(streamId: number, bytes: number): void
}

export interface InboundOptions {
  /** SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly maxListBytes: number
  /** For a connection from a client, which is not trusted; absent: the peer is the runtime. */
  readonly client?: {
    readonly idleFrames: Pick<IdleFrames, 'spend'>
    readonly queue: Pick<QueuedBytes, 'add' | 'isFull'>
  }
}

/** A header block of which some CONTINUATION frames are missing yet. */
interface OpenBlock {
  readonly streamId: number
  readonly isEndOfStream: boolean
  readonly fragments: Buffer[]
  bytes: number
}

/** Reads the bytes of a connection after the preface. */
export class Inbound {
  readonly #events: InboundEvents
  readonly #client: InboundOptions['client']
  readonly #reader = new FrameReader((type, flags, streamId, payload) =>
    this.#read(type, flags, streamId, payload),
  )
  readonly #decoder: HpackDecoder
  #block: OpenBlock | undefined
  #settingsReceived = false

  constructor(events: InboundEvents, { maxListBytes, client }: InboundOptions) {
    this.#events = events
    this.#client = client
    this.#decoder = new HpackDecoder(maxListBytes)
  }

  /** Whether the peer's first SETTINGS have arrived. */
  get settingsReceived(): boolean {
    return this.#settingsReceived
  }

  /** @throws ConnectionError */
  push(chunk: Buffer): void {
    this.#reader.push(chunk)
  }

  #read(type: number, flags: number, streamId: number, payload: Buffer): void {
    const isAck = (flags & FRAME_FLAG.ack) !== 0
    if (!this.#settingsReceived && (type !== FRAME_TYPE.settings || isAck)) {
      throw protocolError('the first frame is not SETTINGS')
    }
    if (this.#block !== undefined && type !== FRAME_TYPE.continuation) {
      throw protocolError('a header block is interrupted')
    }
    if (isIdle(type, flags, payload)) this.#client?.idleFrames.spend()
    if (STREAM_FRAMES.has(type)) this.#readOfStream(type, flags, streamId, payload)
    else this.#readOfConnection(type, isAck, streamId, payload)
  }

  #readOfStream(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (streamId === 0) throw protocolError('a frame of a stream without a stream number')
    if (type === FRAME_TYPE.data) {
      const bytes = unpadded(flags, payload, 0)
      const isEnd = (flags & FRAME_FLAG.endStream) !== 0
      this.#events.onData(streamId, bytes, payload.length, isEnd)
    } else if (type === FRAME_TYPE.headers) {
      this.#headers(flags, streamId, payload)
    } else if (type === FRAME_TYPE.continuation) {
      this.#continuation(flags, streamId, payload)
    } else if (type === FRAME_TYPE.rstStream) {
      this.#events.onReset(streamId, sized(payload, 4).readUInt32BE())
    } else {
      checkDependency(streamId, sized(payload, PRIORITY_BYTES), 0)
    }
  }

  /** Unknown frames are ignored (RFC 9113, section 5.5). */
  #readOfConnection(type: number, isAck: boolean, streamId: number, payload: Buffer): void {
    if (type === FRAME_TYPE.windowUpdate) {
      this.#events.onWindowUpdate(streamId, sized(payload, 4).readUInt32BE() & MAX_INT31)
      return
    }
    if (CONNECTION_FRAMES.has(type) && streamId !== 0) {
      throw protocolError('a frame of the connection with a stream number')
    }
    if (type === FRAME_TYPE.settings) {
      if (isAck) return void sized(payload, 0)
      this.#settingsReceived = true
      this.#events.onSettings(readSettings(payload))
    } else if (type === FRAME_TYPE.ping) {
      sized(payload, 8)
      if (!isAck) this.#events.onPing(payload)
    } else if (type === FRAME_TYPE.goAway) {
      if (payload.length < 8) throw wrongSize(payload)
      this.#goAway(payload.readUInt32BE(), payload.readUInt32BE(4))
    } else if (type === FRAME_TYPE.pushPromise) {
      throw protocolError('PUSH_PROMISE, although push is disabled')
    }
  }

  #headers(flags: number, streamId: number, payload: Buffer): void {
    const priorityBytes = (flags & FRAME_FLAG.priority) === 0 ? 0 : PRIORITY_BYTES
    const fragment = unpadded(flags, payload, priorityBytes)
    if (priorityBytes > 0) {
      checkDependency(streamId, payload, (flags & FRAME_FLAG.padded) === 0 ? 0 : 1)
    }
    const isEndOfStream = (flags & FRAME_FLAG.endStream) !== 0
    if ((flags & FRAME_FLAG.endHeaders) !== 0) {
      this.#events.onHeaders(streamId, this.#decoder.decode(fragment), isEndOfStream)
      return
    }
    this.#block = { streamId, isEndOfStream, fragments: [], bytes: 0 }
    this.#hold(this.#block, fragment)
  }

  #continuation(flags: number, streamId: number, fragment: Buffer): void {
    const block = this.#block
    if (block?.streamId !== streamId) throw protocolError('CONTINUATION without HEADERS before it')
    this.#hold(block, fragment)
    if ((flags & FRAME_FLAG.endHeaders) === 0) return
    this.#block = undefined
    this.#client?.queue.add(-block.bytes)
    const decoded = this.#decoder.decode(Buffer.concat(block.fragments))
    this.#events.onHeaders(streamId, decoded, block.isEndOfStream)
  }

  /** @throws ConnectionError ENHANCE_YOUR_CALM */
  #hold(block: OpenBlock, fragment: Buffer): void {
    // A copy, because a slice would keep the whole chunk in memory.
    block.fragments.push(Buffer.from(fragment))
    block.bytes += fragment.length
    this.#client?.queue.add(fragment.length)
    const { headerBlockBytes, headerBlockFrames } = LIMITS
    if (block.bytes > headerBlockBytes || block.fragments.length > headerBlockFrames) {
      throw new ConnectionError(ERROR_CODE.enhanceYourCalm, 'a header block without an end')
    }
    if (this.#client?.queue.isFull !== true) return
    throw new ConnectionError(ERROR_CODE.enhanceYourCalm, 'too much is queued for this client')
  }

  /** A peer that reports an error has to close, and some do not (RFC 9113, section 5.4.1). */
  #goAway(lastStreamId: number, code: number): void {
    this.#events.onGoAway(lastStreamId & MAX_INT31)
    if (code === ERROR_CODE.noError) return
    throw new ConnectionError(ERROR_CODE.noError, `GOAWAY with error ${code}`)
  }
}

/** Whether the frame makes no progress in any call. */
function isIdle(type: number, flags: number, payload: Buffer): boolean {
  if (type === FRAME_TYPE.headers) return false
  if (type !== FRAME_TYPE.data) return true
  const isPadded = (flags & FRAME_FLAG.padded) !== 0
  const isEmpty = payload.length === (isPadded ? 1 + (payload[0] ?? 0) : 0)
  return isEmpty && (flags & FRAME_FLAG.endStream) === 0
}

/** @param skippedBytes fields between the padding length and the content */
function unpadded(flags: number, payload: Buffer, skippedBytes: number): Buffer {
  const isPadded = (flags & FRAME_FLAG.padded) !== 0
  const start = (isPadded ? 1 : 0) + skippedBytes
  const end = payload.length - (isPadded ? (payload[0] ?? 0) : 0)
  if (start <= end) return start === 0 ? payload : payload.subarray(start, end)
  throw isPadded ? protocolError('more padding than payload') : wrongSize(payload)
}

/** Priorities are ignored, but a stream that depends on itself is an error (RFC 7540, section 5.3.1). */
function checkDependency(streamId: number, payload: Buffer, offset: number): void {
  if ((payload.readUInt32BE(offset) & MAX_INT31) !== streamId) return
  throw protocolError('a stream that depends on itself')
}

function sized(payload: Buffer, bytes: number): Buffer {
  if (payload.length === bytes) return payload
  throw wrongSize(payload)
}

function wrongSize({ length }: Buffer): ConnectionError {
  return new ConnectionError(ERROR_CODE.frameSizeError, `a frame that cannot have ${length} bytes`)
}
