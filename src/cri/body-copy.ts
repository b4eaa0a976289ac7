import type { Stream } from '../http2/stream.ts'
import type { BodyEdit } from './rewrite-frames.ts'

/**
 * What one direction of a call may have waiting to be sent before its source has to wait, beyond its
 * window. Some frames: a long list would stop and go on at each if it were one.
 */
const HELD_BYTES = 128 * 1024
const NOTHING = Buffer.alloc(0)

/**
 * Copies the bodies of one direction of a call, at the pace of who reads them: the source is let send
 * more when what it sent is on its way.
 */
export class BodyCopy {
  readonly #from: Stream
  readonly #to: Stream
  #edit: BodyEdit | undefined
  #owedBytes = 0

  constructor(from: Stream, to: Stream, edit?: BodyEdit) {
    this.#from = from
    this.#to = to
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
    if (isEnd) this.end(bytes)
    else if (bytes.length > 0) this.#to.sendData(bytes, false)
    if (this.#to.waitingBytes < HELD_BYTES) this.goOn()
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

  goOn(): void {
    const bytes = this.#owedBytes
    this.#owedBytes = 0
    if (bytes > 0) this.#from.consumed(bytes)
  }
}
