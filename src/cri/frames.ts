/** The framing of HTTP/2 (RFC 9113, section 4), as much of it as the door needs to see. */

/** What every client says first (RFC 9113, section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const FRAME_HEADER_BYTES = 9
/** SETTINGS_MAX_FRAME_SIZE as it is until somebody announces another one; we never do. */
export const MAX_PAYLOAD_BYTES = 16_384

export const FRAME_TYPE = {
  data: 0,
  headers: 1,
  settings: 4,
  ping: 6,
  continuation: 9,
} as const

export const FRAME_FLAG = {
  ack: 0x01,
  endStream: 0x01,
  endHeaders: 0x04,
  padded: 0x08,
  priority: 0x20,
} as const

export interface FrameHeader {
  readonly payloadBytes: number
  readonly type: number
  readonly flags: number
  readonly streamId: number
}

/** Answers undefined when fewer than nine bytes are there. */
export function readFrameHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  if (bytes.length - offset < FRAME_HEADER_BYTES) return undefined
  return {
    payloadBytes: bytes.readUIntBE(offset, 3),
    type: bytes.readUInt8(offset + 3),
    flags: bytes.readUInt8(offset + 4),
    streamId: bytes.readUInt32BE(offset + 5) & 0x7fffffff,
  }
}

/** One whole frame; the payload must not be longer than MAX_PAYLOAD_BYTES. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header.writeUIntBE(payload.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(streamId, 5)
  return Buffer.concat([header, payload])
}
