/** The framing of HTTP/2 (RFC 9113, section 4). */

/** The first bytes of every client (RFC 9113, section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const FRAME_HEADER_BYTES = 9
/** The default of SETTINGS_MAX_FRAME_SIZE. This implementation never announces another value. */
export const MAX_PAYLOAD_BYTES = 16_384
/** The default of SETTINGS_INITIAL_WINDOW_SIZE, and always the first window of a connection. */
export const DEFAULT_WINDOW_BYTES = 65_535
/** The highest stream number, and the largest window. */
export const MAX_INT31 = 0x7fffffff

/** RFC 9113, section 6. */
export const FRAME_TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const FRAME_FLAG = {
  ack: 0x01,
  endStream: 0x01,
  endHeaders: 0x04,
  padded: 0x08,
  priority: 0x20,
} as const

/** RFC 9113, section 7. */
export const ERROR_CODE = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const

/** A mistake of the peer that ends the connection (RFC 9113, section 5.4.1). */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  /** For GOAWAY (RFC 9113, section 7). */
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export function protocolError(message: string): ConnectionError {
  return new ConnectionError(ERROR_CODE.protocolError, message)
}

/** The nine bytes before a payload. */
export function frameHeader(
  payloadBytes: number,
  type: number,
  flags: number,
  streamId: number,
): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES)
  header.writeUIntBE(payloadBytes, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(streamId, 5)
  return header
}

/** A whole frame. @param payload at most MAX_PAYLOAD_BYTES */
export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(payload.length, type, flags, streamId), payload])
}

/** A frame with one 32-bit number as its payload: RST_STREAM and WINDOW_UPDATE. */
export function numberFrame(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.allocUnsafe(4)
  payload.writeUInt32BE(value)
  return frame(type, 0, streamId, payload)
}

export function goAwayFrame(lastStreamId: number, code: number): Buffer {
  const payload = Buffer.allocUnsafe(8)
  payload.writeUInt32BE(lastStreamId, 0)
  payload.writeUInt32BE(code, 4)
  return frame(FRAME_TYPE.goAway, 0, 0, payload)
}

export type OnFrame = (type: number, flags: number, streamId: number, payload: Buffer) => void

const NOTHING = Buffer.alloc(0)

/** Splits the bytes of a connection into frames. Holds at most one incomplete frame. */
export class FrameReader {
  readonly #onFrame: OnFrame
  /** Of an incomplete frame, with room for all of it once its header is there. */
  #held: Buffer = NOTHING
  #heldBytes = 0

  /**
   * @param onFrame its payload is part of the chunk: keep a copy, or the whole chunk stays in memory, or is overwritten
   *   by its owner
   */
  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  /** @throws ConnectionError FRAME_SIZE_ERROR; any error of `onFrame` */
  push(chunk: Buffer): void {
    let offset = 0
    while (this.#heldBytes > 0 && offset < chunk.length) offset = this.#complete(chunk, offset)
    while (chunk.length - offset >= FRAME_HEADER_BYTES) {
      const end = offset + frameBytes(chunk, offset)
      if (end > chunk.length) break
      this.#emit(chunk, offset, end)
      offset = end
    }
    if (offset < chunk.length) this.#hold(chunk.subarray(offset))
  }

  /** A copy with room for the rest of the frame, or of its header. */
  #hold(bytes: Buffer): void {
    const hasHeader = bytes.length >= FRAME_HEADER_BYTES
    this.#held = Buffer.allocUnsafe(hasHeader ? frameBytes(bytes, 0) : FRAME_HEADER_BYTES)
    this.#heldBytes = bytes.copy(this.#held)
  }

  /** @returns the offset behind what the held frame needed */
  #complete(chunk: Buffer, offset: number): number {
    const end = offset + chunk.copy(this.#held, this.#heldBytes, offset)
    this.#heldBytes += end - offset
    if (this.#heldBytes < this.#held.length) return end
    const held = this.#held
    if (frameBytes(held, 0) > held.length) {
      this.#hold(held)
    } else {
      this.#held = NOTHING
      this.#heldBytes = 0
      this.#emit(held, 0, held.length)
    }
    return end
  }

  #emit(bytes: Buffer, offset: number, end: number): void {
    const type = bytes[offset + 3] ?? 0
    const flags = bytes[offset + 4] ?? 0
    const streamId = bytes.readUInt32BE(offset + 5) & MAX_INT31
    this.#onFrame(type, flags, streamId, bytes.subarray(offset + FRAME_HEADER_BYTES, end))
  }
}

function frameBytes(bytes: Buffer, offset: number): number {
  const payloadBytes = bytes.readUIntBE(offset, 3)
  if (payloadBytes <= MAX_PAYLOAD_BYTES) return FRAME_HEADER_BYTES + payloadBytes
  throw new ConnectionError(
    ERROR_CODE.frameSizeError,
    `a frame of ${payloadBytes} bytes, and ${MAX_PAYLOAD_BYTES} are allowed`,
  )
}

/** Names of RFC 9113, section 6.5.2. Other settings are ignored. */
export interface Settings {
  readonly enablePush?: number
  readonly maxConcurrentStreams?: number
  readonly initialWindowSize?: number
  readonly maxFrameSize?: number
  readonly maxHeaderListSize?: number
}

const ID: Readonly<Record<keyof Settings, number>> = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
}
const NAMES = new Map(Object.entries(ID).map(([name, id]) => [id, name as keyof Settings] as const))
const ENTRY_BYTES = 6
const MAX_FRAME_SIZE = 2 ** 24 - 1

/** The payload of a SETTINGS frame. */
export function writeSettings(settings: Settings): Buffer {
  const entries = Object.entries(settings) as [keyof Settings, number][]
  const payload = Buffer.alloc(entries.length * ENTRY_BYTES)
  entries.forEach(([name, value], index) => {
    payload.writeUInt16BE(ID[name], index * ENTRY_BYTES)
    payload.writeUInt32BE(value, index * ENTRY_BYTES + 2)
  })
  return payload
}

/**
 * The last value wins where a setting occurs twice.
 *
 * @throws ConnectionError FRAME_SIZE_ERROR; for invalid values the code of section 6.5.2
 */
export function readSettings(payload: Buffer): Settings {
  if (payload.length % ENTRY_BYTES !== 0) {
    throw new ConnectionError(ERROR_CODE.frameSizeError, `SETTINGS of ${payload.length} bytes`)
  }
  const settings: Partial<Record<keyof Settings, number>> = {}
  for (let offset = 0; offset < payload.length; offset += ENTRY_BYTES) {
    const name = NAMES.get(payload.readUInt16BE(offset))
    if (name !== undefined) settings[name] = payload.readUInt32BE(offset + 2)
  }
  const { enablePush = 0, initialWindowSize = 0, maxFrameSize = MAX_PAYLOAD_BYTES } = settings
  if (initialWindowSize > MAX_INT31) {
    const message = `an initial window of ${initialWindowSize} bytes`
    throw new ConnectionError(ERROR_CODE.flowControlError, message)
  }
  if (enablePush > 1 || maxFrameSize < MAX_PAYLOAD_BYTES || maxFrameSize > MAX_FRAME_SIZE) {
    throw protocolError('SETTINGS with an invalid value')
  }
  return settings
}
