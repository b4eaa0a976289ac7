import type { Duplex } from 'node:stream'

/** With so much unsent no more bodies are handed over: they wait where flow control can see them. */
const FULL_BYTES = 256 * 1024
/** A peer that makes us answer this much without reading it is not worth its memory. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024
/** Up to here copying costs less than several buffers do. */
const JOINED_BYTES = 16 * 1024

/** What is about to be sent. Goes out in one write for all that was added since the last one. */
export class Outbox {
  readonly #transport: Duplex
  #frames: Buffer[] = []
  #bytes = 0

  constructor(transport: Duplex) {
    this.#transport = transport
  }

  /** The transport says 'drain' when it has room again. */
  get isFull(): boolean {
    return this.#bytes + this.#transport.writableLength > FULL_BYTES
  }

  get isFlooded(): boolean {
    return this.#bytes + this.#transport.writableLength > MAX_UNREAD_BYTES
  }

  add(bytes: Buffer): void {
    this.#frames.push(bytes)
    this.#bytes += bytes.length
  }

  flush(): void {
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
