import type { HeaderList } from './headers.ts'

/**
 * How a stream ended. `done`: both sides had said all. `reset`: by the peer. `streamError`: the peer broke the
 * rules in it. `ours`: we reset it. `gone`: the connection is, or will not serve it any more. `full`: too much is queued for the peer.
 */
export type StreamEnd =
  | { readonly how: 'done' | 'streamError' | 'ours' | 'gone' | 'full' }
  | { readonly how: 'reset'; readonly code: number }

/** Told what the peer says on a stream. */
export interface StreamHandler {
  /** The headers of an answer, or trailers. */
  onHeaders(list: HeaderList, isEnd: boolean): void
  /** Its bytes count until Stream.consumed says that they are dealt with. */
  onData(bytes: Buffer, isEnd: boolean): void
  /** All that was waiting to be sent is on its way. */
  onDrain(): void
  /** The last word, and said once. */
  onEnd(end: StreamEnd): void
}

/** Up to here bodies that wait are joined: a frame of one byte takes more than its byte. */
const JOINED_BYTES = 2_048

/** What waits to be sent on a stream. */
export type Waiting =
  | { readonly kind: 'headers'; readonly list: HeaderList; readonly isEnd: boolean }
  | { readonly kind: 'data'; readonly bytes: Buffer; readonly isEnd: boolean }
  | { readonly kind: 'reset'; readonly code: number }

/** The connection, as its streams see it. */
export interface StreamOwner {
  /** Something waits to be sent. */
  ready(stream: Stream): void
  reset(stream: Stream, code: number): void
  /** The peer may send so much more on this stream. */
  credit(stream: Stream, bytes: number): void
  /** So many bytes that came need no more memory: the peer may send as many again on the connection. */
  consumed(bytes: number): void
  /** So many bytes more are held on a stream; negative: less. */
  queued(bytes: number): void
}

/**
 * One call. What is sent waits its turn here, in order, for as long as the peer has no room for it. Its
 * fields are for the session, the sender and the receiver to write; whoever makes calls only reads them.
 */
export class Stream {
  readonly #owner: StreamOwner
  /** 0 until the connection has a place for it. */
  id: number
  handler: StreamHandler
  /** Bytes that the peer takes. */
  sendWindow = 0
  /** Bytes that the peer may send. */
  receiveWindow: number
  /** The peer's first headers have come. */
  hasBegunThere = false
  /** What the peer's `content-length` leaves of its body; undefined: it announced none. */
  announcedBytes: number | undefined
  hasEndedHere = false
  hasEndedThere = false
  isClosed = false
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #waitingHeaderBytes = 0
  #unconsumedBytes = 0
  #owedBytes = 0
  /** For its objects, and the headers that it began with. */
  readonly costBytes: number

  /** @param costBytes counted as queued until the stream ends */
  constructor(
    owner: StreamOwner,
    id: number,
    receiveWindow: number,
    handler: StreamHandler,
    costBytes = 0,
  ) {
    this.#owner = owner
    this.costBytes = costBytes
    owner.queued(costBytes)
    this.id = id
    this.receiveWindow = receiveWindow
    this.handler = handler
  }

  /** Bytes of bodies that wait. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** A stream of our own begins with this; bodies that were given before wait for it. */
  begin(list: HeaderList, isEnd: boolean): void {
    if (this.isClosed) return
    this.#waiting.unshift({ kind: 'headers', list, isEnd })
    this.#owner.ready(this)
  }

  sendHeaders(list: HeaderList, isEnd: boolean): void {
    if (this.isClosed) return
    const bytes = list.fields.reduce((sum, { length }) => sum + length, 0)
    this.#waitingHeaderBytes += bytes
    this.#owner.queued(bytes)
    this.#send({ kind: 'headers', list, isEnd })
  }

  sendData(given: Buffer, isEnd: boolean): void {
    if (this.isClosed) return
    // A piece of what came in one read would hold all of it.
    const isPiece = given.length < given.buffer.byteLength / 2
    const bytes = isPiece ? Buffer.from(given) : given
    this.#waitingBytes += bytes.length
    this.#owner.queued(bytes.length)
    const last = this.#waiting.at(-1)
    if (last?.kind === 'data' && last.bytes.length + bytes.length <= JOINED_BYTES) {
      this.#waiting.pop()
      this.#send({ kind: 'data', bytes: Buffer.concat([last.bytes, bytes]), isEnd })
    } else {
      this.#send({ kind: 'data', bytes, isEnd })
    }
  }

  /** Ends the stream behind what waits; does nothing where that ends it already. */
  resetBehind(code: number): void {
    this.#send({ kind: 'reset', code })
  }

  /** Ends the stream at once, and forgets what waits. */
  reset(code: number): void {
    if (!this.isClosed) this.#owner.reset(this, code)
  }

  /** Bytes came, padding and all. */
  received(windowBytes: number): void {
    this.receiveWindow -= windowBytes
    this.#unconsumedBytes += windowBytes
  }

  /** So many bytes of those that came need no more memory; the peer may send as many again. */
  consumed(bytes: number): void {
    // What was not consumed at the end of the stream is given back then.
    const freed = Math.min(bytes, this.#unconsumedBytes)
    if (freed === 0) return
    this.#unconsumedBytes -= freed
    this.#owner.consumed(freed)
    this.#owedBytes += freed
    // Not for each frame: many small updates cost more than they bring.
    if (this.hasEndedThere || this.isClosed || this.#owedBytes < this.receiveWindow / 2) return
    this.#owner.credit(this, this.#owedBytes)
    this.#owedBytes = 0
  }

  /** What is to be sent next, if there is something. */
  next(): Waiting | undefined {
    return this.#waiting[0]
  }

  /** The next one is on its way; of a body, so many bytes. */
  sent(bytes: number): void {
    const next = this.#waiting[0]
    if (next?.kind !== 'data' || bytes === next.bytes.length) this.#waiting.shift()
    else this.#waiting[0] = { ...next, bytes: next.bytes.subarray(bytes) }
    this.#waitingBytes -= bytes
    this.#owner.queued(-bytes)
    if (this.#waiting.length === 0) this.#forgetHeaders()
  }

  /** The stream has ended: nothing is held for it any more. */
  forget(): void {
    this.#owner.queued(-this.#waitingBytes - this.costBytes)
    this.#forgetHeaders()
    this.#waiting = []
    this.#waitingBytes = 0
    this.consumed(this.#unconsumedBytes)
  }

  #forgetHeaders(): void {
    this.#owner.queued(-this.#waitingHeaderBytes)
    this.#waitingHeaderBytes = 0
  }

  #send(waiting: Waiting): void {
    if (this.isClosed) return
    this.#waiting.push(waiting)
    this.#owner.ready(this)
  }
}
