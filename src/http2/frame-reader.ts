import { ConnectionError } from './errors.ts'
import { ERROR_CODE, FRAME_HEADER_BYTES, MAX_INT31, MAX_PAYLOAD_BYTES } from './frames.ts'

export type OnFrame = (type: number, flags: number, streamId: number, payload: Buffer) => void

const NOTHING = Buffer.alloc(0)

/** Cuts what comes over a connection into frames. Holds one frame at most. */
export class FrameReader {
  readonly #onFrame: OnFrame
  #held: Buffer = NOTHING

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  /** @throws ConnectionError FRAME_SIZE_ERROR, and whatever `onFrame` throws */
  push(chunk: Buffer): void {
    let offset = 0
    while (this.#held.length > 0 && offset < chunk.length) offset = this.#complete(chunk, offset)
    while (chunk.length - offset >= FRAME_HEADER_BYTES) {
      const end = offset + frameBytes(chunk, offset)
      if (end > chunk.length) break
      this.#emit(chunk, offset, end)
      offset = end
    }
    // A copy: what is left of a chunk would keep all of it in memory.
    if (offset < chunk.length) this.#held = Buffer.from(chunk.subarray(offset))
  }

  /** Copies no more of the chunk than the held frame lacks. */
  #complete(chunk: Buffer, offset: number): number {
    const held = this.#held
    const needed = held.length < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : frameBytes(held, 0)
    const end = Math.min(offset + needed - held.length, chunk.length)
    const whole = Buffer.concat([held, chunk.subarray(offset, end)])
    if (whole.length >= FRAME_HEADER_BYTES && whole.length === frameBytes(whole, 0)) {
      this.#held = NOTHING
      this.#emit(whole, 0, whole.length)
    } else {
      this.#held = whole
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
