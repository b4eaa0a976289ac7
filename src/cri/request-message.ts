import { status } from '@grpc/grpc-js'
import type { QueuedBytes } from '../http2/queued-bytes.ts'
import { GrpcError } from './status.ts'

/** One byte that says whether it is compressed, four that give the length. */
const PREFIX_BYTES = 5

/** The one message of a request, as it comes in; what is held of it is counted as queued. */
export class RequestMessage {
  readonly #queue: Pick<QueuedBytes, 'add'>
  readonly #maxBytes: number
  #held: Buffer = Buffer.alloc(0)
  #length = 0

  constructor(queue: Pick<QueuedBytes, 'add'>, maxBytes: number) {
    this.#queue = queue
    this.#maxBytes = maxBytes
  }

  /** @throws GrpcError RESOURCE_EXHAUSTED of a message that is too long, UNIMPLEMENTED of a second one */
  push(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#makeRoom(this.#length + bytes.length)
    bytes.copy(this.#held, this.#length)
    this.#length += bytes.length
    if (this.#length < PREFIX_BYTES) return
    const claimed = this.#held.readUInt32BE(1)
    if (claimed > this.#maxBytes) {
      const details = `Received message larger than max (${claimed} vs ${this.#maxBytes})`
      throw new GrpcError({ code: status.RESOURCE_EXHAUSTED, details })
    }
    if (this.#length > PREFIX_BYTES + claimed) {
      throw new GrpcError({
        code: status.UNIMPLEMENTED,
        details: 'Received a second request message',
      })
    }
  }

  /** @throws GrpcError UNIMPLEMENTED where it is not whole */
  whole(): { readonly bytes: Buffer; readonly isCompressed: boolean } {
    const held = this.#held.subarray(0, this.#length)
    if (this.#length < PREFIX_BYTES || this.#length < PREFIX_BYTES + held.readUInt32BE(1)) {
      throw new GrpcError({ code: status.UNIMPLEMENTED, details: 'Received no request message' })
    }
    return { bytes: held.subarray(PREFIX_BYTES), isCompressed: held[0] === 1 }
  }

  /** What it decompresses to is held in its place. */
  replace(bytes: Buffer): void {
    this.#queue.add(bytes.length - this.#held.length)
    this.#held = bytes
    this.#length = bytes.length
  }

  /** The call has ended: nothing is held for it any more. */
  forget(): void {
    this.#queue.add(-this.#held.length)
    this.#held = Buffer.alloc(0)
    this.#length = 0
  }

  /** Twice as much each time: a message that comes byte by byte is not copied at each of them. */
  #makeRoom(bytes: number): void {
    if (bytes <= this.#held.length) return
    const most = PREFIX_BYTES + this.#maxBytes
    const capacity = Math.max(bytes, Math.min(2 * this.#held.length, most))
    const grown = Buffer.alloc(capacity)
    this.#held.copy(grown, 0, 0, this.#length)
    this.#queue.add(capacity - this.#held.length)
    this.#held = grown
  }
}
