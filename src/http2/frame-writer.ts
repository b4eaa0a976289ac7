import type { Duplex } from 'node:stream'
import { LIMITS } from './limits.ts'
import type { QueuedBytes } from './queued-bytes.ts'

/** Up to here copying costs less than several buffers do. */
const JOINED_BYTES = 16 * 1024

/** What is about to be sent. Goes out in one write for all that was added since the last one. */
export class FrameWriter {
  readonly #transport: Duplex
  readonly #queue: Pick<QueuedBytes, 'add'>
  #frames: Buffer[] = []
  #bytes = 0
  /** What the queue has of what the transport holds. */
  #countedBytes = 0

  /** @param queue counts what the transport has not taken */
  constructor(transport: Duplex, queue: Pick<QueuedBytes, 'add'>) {
    this.#transport = transport
    this.#queue = queue
  }

  /** No more bodies are handed over until 'drain' of the transport: they wait where flow control sees them. */
  get isFull(): boolean {
    return this.#bytes + this.#transport.writableLength > LIMITS.unsentBytes
  }

  get isFlooded(): boolean {
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

  /** Up to its high-water mark a transport does not say when it has sent what it holds. */
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
