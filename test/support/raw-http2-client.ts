import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { FRAME_FLAG, FRAME_TYPE, frame } from '../../src/http2/frames.ts'
import { RawHttp2End } from './raw-http2-end.ts'

export const EMPTY = Buffer.alloc(0)
export const SETTINGS = frame(FRAME_TYPE.settings, 0, 0, EMPTY)
export const SETTINGS_ACK = frame(FRAME_TYPE.settings, FRAME_FLAG.ack, 0, EMPTY)

/** The client's end on a unix socket. */
export class RawHttp2Client extends RawHttp2End {
  readonly socket: Socket

  constructor(path: string) {
    const socket = connect(path)
    super(socket)
    this.socket = socket
  }

  /** The body of a stream's answer, once its trailers have come. */
  async body(streamId: number): Promise<Buffer> {
    await this.frame(
      (each) =>
        each.streamId === streamId &&
        ((each.type === FRAME_TYPE.headers && (each.flags & FRAME_FLAG.endStream) !== 0) ||
          each.type === FRAME_TYPE.rstStream),
    )
    return Buffer.concat(this.of(FRAME_TYPE.data, streamId).map((each) => each.payload))
  }
}

export function openRawHttp2Client(t: TestContext, path: string): RawHttp2Client {
  const client = new RawHttp2Client(path)
  t.after(() => client.socket.destroy())
  return client
}
