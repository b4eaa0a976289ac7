import type { OnReadOpts, Socket } from 'node:net'

/** What one read of a socket gives; of TLS one record. */
const READ_BYTES = { plain: 64 * 1024, tls: 16 * 1024 } as const
/** For the next reads, while there is a connection. */
const MAX_FREE_BYTES = 1024 * 1024

interface Loan {
  readonly lender: ReadBuffers
  /** That were read into it. */
  readonly bytes: number
}

/** By the memory. What is not given back is garbage, as any other. */
const loans = new WeakMap<ArrayBufferLike, Loan>()

/**
 * Memory that connections read into, again and again: a large body in a buffer for each read is garbage beyond the
 * heap, and V8 collects the whole heap for each 27 MiB of it, a third of the processor time of a blob.
 */
export class ReadBuffers {
  readonly #bytes: number
  readonly #free: Buffer[] = []
  #connections = 0

  constructor({ isTls }: { readonly isTls: boolean }) {
    this.#bytes = isTls ? READ_BYTES.tls : READ_BYTES.plain
  }

  /** An option of one connection, by which it is read as without it. */
  onread(): OnReadOpts {
    let current: Buffer | undefined
    const take = (): Buffer => {
      current ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes)
      return current
    }
    const received = (bytes: number): Buffer => {
      const chunk = take().subarray(0, bytes)
      // In a queue a short one would hold the memory of a whole one.
      if (bytes < this.#bytes / 2) return Buffer.from(chunk)
      loans.set(chunk.buffer, { lender: this, bytes })
      current = undefined
      return chunk
    }
    function callback(this: Socket, bytes: number): boolean {
      return this.push(received(bytes))
    }
    return { buffer: take, callback }
  }

  /** Nothing is kept once the last connection has closed. */
  serve(connection: Socket): void {
    this.#connections += 1
    connection.once('close', () => {
      this.#connections -= 1
      if (this.#connections === 0) this.#free.length = 0
    })
  }

  takeBack(memory: ArrayBufferLike): void {
    const room = this.#connections > 0 && this.#free.length * this.#bytes < MAX_FREE_BYTES
    if (room) this.#free.push(Buffer.from(memory))
  }
}

/** Of a body, its reader is done with it, as is all that it was handed to: its memory is read into again. */
export function giveBack({ buffer, byteLength, byteOffset }: Buffer): void {
  const loan = loans.get(buffer)
  // What else came with it has another reader.
  if (loan === undefined || byteOffset !== 0 || byteLength !== loan.bytes) return
  loans.delete(buffer)
  loan.lender.takeBack(buffer)
}
