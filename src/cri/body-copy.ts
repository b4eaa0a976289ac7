import type { QueuedBytes } from '../http2/queued-bytes.ts'
import type { Stream } from '../http2/stream.ts'
import type { BodyEdit } from './rewrite/body-edit.ts'

/**
 * What one direction of a call may have waiting to be sent before its source has to wait, beyond its
 * window. Some frames: a long list would stop and go on at each if it were one.
 */
const HELD_BYTES = 128 * 1024
const NOTHING = Buffer.alloc(0)

export interface CopyOptions {
  /** Counts what is held between the two streams. */
  readonly queue: Pick<QueuedBytes, 'add' | 'isBusy'>
  readonly edit?: BodyEdit | undefined
}

/**
 * Copies the bodies of one direction of a call, at the pace of who reads them: the source is let send
 * more when what it sent is on its way.
 */
export class BodyCopy {
  readonly #from: Stream
  readonly #to: Stream
  readonly #queue: CopyOptions['queue']
  #edit: BodyEdit | undefined
  #owedBytes = 0
  #countedBytes = 0

  constructor(from: Stream, to: Stream, { edit, queue }: CopyOptions) {
    this.#from = from
    this.#to = to
    this.#queue = queue
    this.#edit = edit
  }

  /** Before anything was copied. */
  editWith(edit: BodyEdit): void {
    this.#edit = edit
  }

  get isEdited(): boolean {
    return this.#edit !== undefined
  }

  data(received: Buffer, isEnd: boolean): void {
    this.#owedBytes += received.length
    const bytes = this.#edit === undefined ? received : this.#edit.chunk(received)
    this.#count(this.#edit?.heldBytes() ?? 0)
    if (isEnd) this.end(bytes)
    else if (bytes.length > 0) this.#to.sendData(bytes, false)
    const { waitingBytes } = this.#to
    const isAhead = waitingBytes < HELD_BYTES && !this.#queue.isBusy
    if (isAhead || waitingBytes === 0) this.resume()
  }

  /** The call has ended: nothing is held for it any more. */
  close(): void {
    this.#count(0)
  }

  /** @param last comes before what an edit has held back */
  end(last: Buffer = NOTHING): void {
    const rest = this.rest()
    this.#to.sendData(rest.length === 0 ? last : Buffer.concat([last, rest]), true)
  }

  /** What an edit has held back. */
  rest(): Buffer {
    return this.#edit?.rest() ?? NOTHING
  }

  resume(): void {
    const bytes = this.#owedBytes
    this.#owedBytes = 0
    if (bytes > 0) this.#from.consumed(bytes)
  }

  #count(bytes: number): void {
    this.#queue.add(bytes - this.#countedBytes)
    this.#countedBytes = bytes
  }
}
