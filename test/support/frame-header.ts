import { FRAME_HEADER_BYTES } from '../../src/http2/frames.ts'

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
