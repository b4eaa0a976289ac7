import { promisify } from 'node:util'
import { Semaphore } from '../concurrency/semaphore.ts'
import type { QueuedBytes } from '../http2/limits.ts'
import { status } from '../runtime/status.ts'
import { GrpcError, PREFIX_BYTES } from './grpc.ts'

export const TOO_MUCH = 'too much is queued for this client of image-resolver'
const NOTHING = Buffer.alloc(0)
/**
 * No kubelet sends more than this. What is longer gets a buffer that glibc maps, and gives back when it is freed:
 * smaller ones, of a thousand messages that never end, would leave 60 MiB of holes between others.
 */
const SMALL_BYTES = 16 * 1024
const MAPPED_BYTES = 132 * 1024
type Decompression = 'gunzip' | 'inflate'
const DECOMPRESS: ReadonlyMap<string, Decompression> = new Map([
  ['gzip', 'gunzip'],
  ['deflate', 'inflate'],
])
/** One message at a time in this process: 4 KiB become 4 MiB, which count only once they are there. */
const decompressing = new Semaphore(1)

export interface RequestMessageOptions {
  /** Counts what is held for the client. */
  readonly queue: Pick<QueuedBytes, 'add' | 'isFull'>
  /** Of the message, before and after decompression. */
  readonly maxBytes: number
  /** The `grpc-encoding` of the request. */
  readonly encoding: string
}

/** The one message of a unary request. */
export class RequestMessage {
  readonly #options: RequestMessageOptions
  #held: Buffer = NOTHING
  #length = 0
  #isReleased = false

  constructor(options: RequestMessageOptions) {
    this.#options = options
  }

  /** @throws GrpcError RESOURCE_EXHAUSTED for a message that is too long, UNIMPLEMENTED for a second one */
  push(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#reserve(this.#length + bytes.length)
    bytes.copy(this.#held, this.#length)
    this.#length += bytes.length
    if (this.#length < PREFIX_BYTES) return
    const announced = this.#held.readUInt32BE(1)
    const { maxBytes } = this.#options
    if (announced > maxBytes) {
      const details = `Received message larger than max (${announced} vs ${maxBytes})`
      throw new GrpcError({ code: status.RESOURCE_EXHAUSTED, details })
    }
    if (this.#length > PREFIX_BYTES + announced) {
      throw new GrpcError({
        code: status.UNIMPLEMENTED,
        details: 'Received a second request message',
      })
    }
  }

  /**
   * The message, once the request has ended.
   *
   * @throws GrpcError UNIMPLEMENTED for an incomplete message or an unknown encoding, RESOURCE_EXHAUSTED
   *   when it decompresses to more than `maxBytes`, INTERNAL when it does not decompress
   */
  async read(signal: AbortSignal): Promise<Buffer> {
    const whole = this.#held.subarray(0, this.#length)
    if (whole.length < PREFIX_BYTES || whole.length < PREFIX_BYTES + whole.readUInt32BE(1)) {
      throw new GrpcError({ code: status.UNIMPLEMENTED, details: 'Received no request message' })
    }
    const bytes = whole.subarray(PREFIX_BYTES)
    const { encoding } = this.#options
    if (whole[0] !== 1 || encoding === 'identity') return bytes
    const decompress = DECOMPRESS.get(encoding)
    if (decompress === undefined) {
      const name = encoding.slice(0, 32)
      const details = `Received message compressed with unsupported encoding "${name}"`
      throw new GrpcError({ code: status.UNIMPLEMENTED, details })
    }
    return await decompressing.run('', signal, () => this.#decompress(decompress, bytes))
  }

  /** The call has ended: nothing is held for it any more. */
  release(): void {
    this.#isReleased = true
    this.#hold(NOTHING)
  }

  async #decompress(decompress: Decompression, bytes: Buffer): Promise<Buffer> {
    const { maxBytes, queue } = this.#options
    if (queue.isFull) throw new GrpcError({ code: status.RESOURCE_EXHAUSTED, details: TOO_MUCH })
    try {
      // No kubelet compresses what it sends.
      const { [decompress]: run } = await import('node:zlib')
      const whole = await promisify(run)(bytes, { maxOutputLength: maxBytes })
      if (!this.#isReleased) this.#hold(whole)
      return whole
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') {
        throw new GrpcError(
          { code: status.INTERNAL, details: 'Failed to decompress message' },
          { cause },
        )
      }
      const details = `Received message that decompresses to a size larger than ${maxBytes}`
      throw new GrpcError({ code: status.RESOURCE_EXHAUSTED, details }, { cause })
    }
  }

  /** Doubles the buffer, so that a message in many small pieces is not copied for each. */
  #reserve(bytes: number): void {
    if (bytes <= this.#held.length) return
    const most = PREFIX_BYTES + this.#options.maxBytes
    const least = bytes > SMALL_BYTES ? MAPPED_BYTES : 0
    const grown = Buffer.alloc(
      Math.max(bytes, Math.min(Math.max(2 * this.#held.length, least), most)),
    )
    this.#held.copy(grown, 0, 0, this.#length)
    const length = this.#length
    this.#hold(grown)
    this.#length = length
  }

  #hold(bytes: Buffer): void {
    this.#options.queue.add(bytes.length - this.#held.length)
    this.#held = bytes
    this.#length = bytes.length
  }
}
