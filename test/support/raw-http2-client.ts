import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { FRAME_FLAG, FRAME_TYPE, frame, readFrameHeader } from '../../src/cri/frames.ts'

export interface RawFrame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

export const EMPTY = Buffer.alloc(0)
export const SETTINGS = frame(FRAME_TYPE.settings, 0, 0, EMPTY)
export const SETTINGS_ACK = frame(FRAME_TYPE.settings, FRAME_FLAG.ack, 0, EMPTY)

/**
 * An HTTP/2 client that sends exactly the frames it is given and lists those that it gets. It knows
 * no rules: acknowledging is up to the test.
 */
export class RawHttp2Client {
  readonly socket: Socket
  readonly received: RawFrame[] = []
  #unread: Buffer = EMPTY
  #news: () => void = () => {}
  #nextNews: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.socket = connect(path)
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk))
    this.socket.on('close', () => this.#news())
    this.#awaitNews()
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  /** The first frame received, now or later, that fits. Fails when the connection ends before. */
  async frame(fits: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const found = this.received.find(fits)
      if (found !== undefined) return found
      if (this.socket.destroyed) throw new Error('the connection ended before the frame came')
      await this.#nextNews
    }
  }

  /** The body of a stream's answer, once its trailers have come. */
  async body(streamId: number): Promise<Buffer> {
    const of = this.received
    await this.frame(
      (each) =>
        each.streamId === streamId &&
        ((each.type === FRAME_TYPE.headers && (each.flags & FRAME_FLAG.endStream) !== 0) ||
          each.type === RST_STREAM),
    )
    const data = of.filter((each) => each.streamId === streamId && each.type === FRAME_TYPE.data)
    return Buffer.concat(data.map((each) => each.payload))
  }

  #take(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk])
    for (;;) {
      const header = readFrameHeader(this.#unread, 0)
      if (header === undefined || this.#unread.length < 9 + header.payloadBytes) break
      const { type, flags, streamId, payloadBytes } = header
      const payload = this.#unread.subarray(9, 9 + payloadBytes)
      this.received.push({ type, flags, streamId, payload })
      this.#unread = this.#unread.subarray(9 + payloadBytes)
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

const RST_STREAM = 3

export function openRawHttp2Client(t: TestContext, path: string): RawHttp2Client {
  const client = new RawHttp2Client(path)
  t.after(() => client.socket.destroy())
  return client
}
