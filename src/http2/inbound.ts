import { BlockAssembly, type HeaderBlock } from './block-assembly.ts'
import { ConnectionError } from './errors.ts'
import { FrameReader } from './frame-reader.ts'
import { ERROR_CODE, FRAME_FLAG, FRAME_TYPE, MAX_INT31 } from './frames.ts'
import { type Decoded, HpackDecoder } from './hpack/decoder.ts'
import type { IdleFrames } from './idle-frames.ts'
import type { QueuedBytes } from './queued-bytes.ts'
import { readSettings, type Settings } from './settings.ts'

const PRIORITY_BYTES = 5
const OF_STREAMS = new Set<number>([
  FRAME_TYPE.data,
  FRAME_TYPE.headers,
  FRAME_TYPE.priority,
  FRAME_TYPE.rstStream,
  FRAME_TYPE.continuation,
])
const OF_CONNECTION = new Set<number>([FRAME_TYPE.settings, FRAME_TYPE.ping, FRAME_TYPE.goAway])

/** What a peer says, frame by frame, each in a form that can be. */
export interface InboundEvents {
  onHeaders(streamId: number, decoded: Decoded, isEnd: boolean): void
  /** @param windowBytes what it takes of the windows, padding and all */
  onData(streamId: number, bytes: Buffer, windowBytes: number, isEnd: boolean): void
  onReset(streamId: number, code: number): void
  /** Not of the acknowledgement of our own. */
  onSettings(settings: Settings): void
  onPing(payload: Buffer): void
  /** Streams beyond `lastStreamId` were not looked at. */
  onGoAway(lastStreamId: number): void
  onWindowUpdate(streamId: number, bytes: number): void
}

export interface InboundOptions {
  /** As SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly maxListBytes: number
  /** Of a client, which is not trusted; absent: the peer is a server that we chose to ask. */
  readonly client?: {
    readonly idleFrames: Pick<IdleFrames, 'spend'>
    readonly queue: Pick<QueuedBytes, 'add' | 'isFull'>
  }
}

/** Reads what comes over a connection, behind the preface. */
export class Inbound {
  readonly #events: InboundEvents
  readonly #client: InboundOptions['client']
  readonly #reader = new FrameReader((type, flags, streamId, payload) =>
    this.#read(type, flags, streamId, payload),
  )
  readonly #blocks = new BlockAssembly()
  readonly #decoder: HpackDecoder
  #settingsReceived = false
  #countedBytes = 0

  constructor(events: InboundEvents, { maxListBytes, client }: InboundOptions) {
    this.#events = events
    this.#client = client
    this.#decoder = new HpackDecoder(maxListBytes)
  }

  /** The first SETTINGS have come. */
  get settingsReceived(): boolean {
    return this.#settingsReceived
  }

  /** @throws ConnectionError */
  push(chunk: Buffer): void {
    this.#reader.push(chunk)
  }

  #read(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (
      !this.#settingsReceived &&
      (type !== FRAME_TYPE.settings || (flags & FRAME_FLAG.ack) !== 0)
    ) {
      throw broken('the first frame is not SETTINGS')
    }
    if (this.#blocks.isBegun && type !== FRAME_TYPE.continuation) {
      throw broken('a header block is interrupted')
    }
    if (isIdle(type, flags, payload)) this.#client?.idleFrames.spend()
    if (OF_STREAMS.has(type)) this.#readOfStream(type, flags, streamId, payload)
    else this.#readOfConnection(type, flags, streamId, payload)
  }

  /** A header block that is not whole is held for its client, too. */
  #countBlock(): void {
    const { heldBytes } = this.#blocks
    this.#client?.queue.add(heldBytes - this.#countedBytes)
    this.#countedBytes = heldBytes
    if (heldBytes === 0 || this.#client?.queue.isFull !== true) return
    throw new ConnectionError(ERROR_CODE.enhanceYourCalm, 'too much is queued for this client')
  }

  #readOfStream(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (streamId === 0) throw broken('a frame of a stream, without its number')
    if (type === FRAME_TYPE.data) this.#data(flags, streamId, payload)
    else if (type === FRAME_TYPE.headers) this.#headers(flags, streamId, payload)
    else if (type === FRAME_TYPE.continuation) {
      this.#block(this.#blocks.continuation(flags, streamId, payload))
    } else if (type === FRAME_TYPE.rstStream) {
      this.#events.onReset(streamId, sized(payload, 4).readUInt32BE())
    } else {
      independent(streamId, sized(payload, PRIORITY_BYTES), 0)
    }
  }

  /** What nobody knows yet is passed over (RFC 9113, section 5.5). */
  #readOfConnection(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (type === FRAME_TYPE.windowUpdate) {
      this.#events.onWindowUpdate(streamId, sized(payload, 4).readUInt32BE() & MAX_INT31)
      return
    }
    if (OF_CONNECTION.has(type) && streamId !== 0) {
      throw broken('a frame of the connection, with the number of a stream')
    }
    const isAck = (flags & FRAME_FLAG.ack) !== 0
    if (type === FRAME_TYPE.settings) this.#settings(isAck, payload)
    else if (type === FRAME_TYPE.ping) {
      sized(payload, 8)
      if (!isAck) this.#events.onPing(payload)
    } else if (type === FRAME_TYPE.goAway) {
      if (payload.length < 8) throw ofSize(payload)
      this.#goAway(payload.readUInt32BE(), payload.readUInt32BE(4))
    } else if (type === FRAME_TYPE.pushPromise) {
      throw broken('PUSH_PROMISE, which was not to come')
    }
  }

  #data(flags: number, streamId: number, payload: Buffer): void {
    const bytes = unpadded(flags, payload, 0)
    const isEnd = (flags & FRAME_FLAG.endStream) !== 0
    this.#events.onData(streamId, bytes, payload.length, isEnd)
  }

  #headers(flags: number, streamId: number, payload: Buffer): void {
    const priorityBytes = (flags & FRAME_FLAG.priority) === 0 ? 0 : PRIORITY_BYTES
    const fragment = unpadded(flags, payload, priorityBytes)
    if (priorityBytes > 0) independent(streamId, payload, (flags & FRAME_FLAG.padded) === 0 ? 0 : 1)
    this.#block(this.#blocks.headers(flags, streamId, fragment))
  }

  #block(block: HeaderBlock | undefined): void {
    this.#countBlock()
    if (block === undefined) return
    const { endStream, fields, streamId } = block
    this.#events.onHeaders(streamId, this.#decoder.decode(fields), endStream)
  }

  /** Who says goodbye with an error has to close, and some forget to (RFC 9113, section 5.4.1). */
  #goAway(lastStreamId: number, code: number): void {
    this.#events.onGoAway(lastStreamId & MAX_INT31)
    if (code === ERROR_CODE.noError) return
    throw new ConnectionError(ERROR_CODE.noError, `GOAWAY with error ${code}`)
  }

  #settings(isAck: boolean, payload: Buffer): void {
    if (isAck) {
      sized(payload, 0)
    } else {
      this.#settingsReceived = true
      this.#events.onSettings(readSettings(payload))
    }
  }
}

/** Whether the frame brings no call forward. */
function isIdle(type: number, flags: number, payload: Buffer): boolean {
  if (type === FRAME_TYPE.headers) return false
  if (type !== FRAME_TYPE.data) return true
  const isPadded = (flags & FRAME_FLAG.padded) !== 0
  const isEmpty = payload.length === (isPadded ? 1 + (payload[0] ?? 0) : 0)
  return isEmpty && (flags & FRAME_FLAG.endStream) === 0
}

/** @param skippedBytes fields between the length of the padding and what is asked for */
function unpadded(flags: number, payload: Buffer, skippedBytes: number): Buffer {
  const isPadded = (flags & FRAME_FLAG.padded) !== 0
  const start = (isPadded ? 1 : 0) + skippedBytes
  const end = payload.length - (isPadded ? (payload[0] ?? 0) : 0)
  if (start <= end) return start === 0 ? payload : payload.subarray(start, end)
  throw isPadded ? broken('more padding than frame') : ofSize(payload)
}

/** Priorities are not kept; this one is an error all the same (RFC 7540, section 5.3.1). */
function independent(streamId: number, payload: Buffer, offset: number): void {
  if ((payload.readUInt32BE(offset) & MAX_INT31) !== streamId) return
  throw broken('a stream that depends on itself')
}

function sized(payload: Buffer, bytes: number): Buffer {
  if (payload.length === bytes) return payload
  throw ofSize(payload)
}

function ofSize({ length }: Buffer): ConnectionError {
  return new ConnectionError(ERROR_CODE.frameSizeError, `a frame that cannot have ${length} bytes`)
}

function broken(message: string): ConnectionError {
  return new ConnectionError(ERROR_CODE.protocolError, message)
}
