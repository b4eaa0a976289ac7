import type { Duplex } from 'node:stream'
import type { QueuedBytes } from './limits.ts'
import { LIMITS } from './limits.ts'

/** Below this size one copy costs less than several buffers. */
const JOINED_BYTES = 16 * 1024

/** Collects frames and sends them in one write. */
export class FrameWriter {
  readonly #transport: Duplex
  readonly #queue: Pick<QueuedBytes, 'add'>
  #frames: Buffer[] = []
  #bytes = 0
  /** Bytes of the transport that the queue counts. */
  #countedBytes = 0

  /** @param queue counts what the transport has not sent */
  constructor(transport: Duplex, queue: Pick<QueuedBytes, 'add'>) {
    this.#transport = transport
    this.#queue = queue
  }

  /** Bodies have to wait in their streams, where flow control counts them, until the transport emits 'drain'. */
  get isFull(): boolean {
    return this.#bytes + this.#transport.writableLength > LIMITS.unsentBytes
  }

  get isOverfull(): boolean {
    return this.#bytes + this.#transport.writableLength > LIMITS.unreadBytes
  }

  add(bytes: Buffer): void {
    this.#frames.push(bytes)
    this.#bytes += bytes.length
  }

  flush(): void {
    this.#write()
    this.#count()
  }

  /** A transport emits no 'drain' for bytes below its high-water mark. */
  #count(): void {
    const { destroyed, writableHighWaterMark, writableLength } = this.#transport
    const bytes = destroyed ? 0 : Math.max(0, writableLength - writableHighWaterMark)
    this.#queue.add(bytes - this.#countedBytes)
    this.#countedBytes = bytes
  }

  #write(): void {
    const frames = this.#frames
    if (frames.length === 0) return
    const isSmall = this.#bytes <= JOINED_BYTES
    this.#frames = []
    this.#bytes = 0
    const transport = this.#transport
    if (!transport.writable) return
    if (isSmall) {
      transport.write(frames.length === 1 ? frames[0] : Buffer.concat(frames))
      return
    }
    transport.cork()
    for (const each of frames) transport.write(each)
    transport.uncork()
  }
}
