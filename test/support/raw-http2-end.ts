import type { Duplex } from 'node:stream'
import { FRAME_FLAG, FRAME_HEADER_BYTES, FRAME_TYPE, frame } from '../../src/http2/frames.ts'

export interface RawFrame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

/**
 * An end of an HTTP/2 connection that sends exactly the frames it is given and lists those that it
 * gets. It knows no rules: acknowledging is up to the test.
 */
export class RawHttp2End {
  readonly received: RawFrame[] = []
  readonly #transport: Duplex
  #unread: Buffer
  #pings = 0
  #news: () => void = () => {}
  #nextNews: Promise<void> = Promise.resolve()

  /** @param skippedBytes come before the first frame: a client's preface */
  constructor(transport: Duplex, skippedBytes = 0) {
    this.#transport = transport
    this.#unread = Buffer.alloc(0)
    let skip = skippedBytes
    transport.on('error', () => {})
    transport.on('data', (chunk: Buffer) => {
      const skipped = Math.min(skip, chunk.length)
      skip -= skipped
      this.#take(chunk.subarray(skipped))
    })
    transport.on('end', () => transport.end())
    transport.on('close', () => this.#news())
    this.#awaitNews()
  }

  send(...frames: readonly Buffer[]): void {
    this.#transport.write(Buffer.concat(frames))
  }

  /** The first frame received, now or later, that fits. Fails when the connection ends before. */
  async frame(fits: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const found = this.received.find(fits)
      if (found !== undefined) return found
      if (this.#transport.destroyed) throw new Error('the connection ended before the frame came')
      await this.#nextNews
    }
  }

  /** All that was sent has been read, and what came of it at once is here. */
  async settled(): Promise<void> {
    this.#pings += 1
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(this.#pings)
    this.send(frame(FRAME_TYPE.ping, 0, 0, payload))
    await this.frame(
      ({ type, flags, payload: echo }) =>
        type === FRAME_TYPE.ping && flags === FRAME_FLAG.ack && echo.equals(payload),
    )
  }

  /** What has come so far of a type, on a stream or on all. */
  of(type: number, streamId?: number): RawFrame[] {
    return this.received.filter(
      (each) => each.type === type && (streamId === undefined || each.streamId === streamId),
    )
  }

  #take(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk])
    for (;;) {
      const header = readFrameHeader(this.#unread, 0)
      if (header === undefined) break
      const { type, flags, streamId, payloadBytes } = header
      const end = FRAME_HEADER_BYTES + payloadBytes
      if (this.#unread.length < end) break
      const payload = this.#unread.subarray(FRAME_HEADER_BYTES, end)
      this.received.push({ type, flags, streamId, payload })
      this.#unread = this.#unread.subarray(end)
    }
    this.#news()
    this.#awaitNews()
  }

  #awaitNews(): void {
    this.#nextNews = new Promise((resolve) => {
      this.#news = resolve
    })
  }
}

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
