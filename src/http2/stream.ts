import { type HeaderList, headerValue } from './headers.ts'

/**
 * How a stream ended. `done`: both sides sent END_STREAM. `reset`: the peer reset it. `streamError`: it
 * was reset here for a mistake of the peer. `local`: it was reset here by a call of `reset`. `lost`: the
 * connection closed or does not serve it. `overload`: too much is queued for the peer.
 */
export type StreamEnd =
  | { readonly how: 'done' | 'streamError' | 'local' | 'lost' | 'overload' }
  | { readonly how: 'reset'; readonly code: number }

/** Receives what the peer sends on a stream. */
export interface StreamHandler {
  /** The headers of an answer, or trailers. */
  onHeaders(list: HeaderList, isEnd: boolean): void
  /**
   * The bytes take window until Stream.consumed gives them back. They are there only until this returns: the transport
   * may read into the same memory again.
   */
  onData(bytes: Buffer, isEnd: boolean): void
  /** Everything that waited has been handed to the transport. */
  onDrain(): void
  /** Called once; nothing follows. */
  onEnd(end: StreamEnd): void
}

/** Waiting bodies are joined up to this size, because each one costs an object and a frame header. */
const JOINED_BYTES = 2_048
/** What is sent whole is small: once more than this waits, it goes out. */
const WHOLE_BYTES = 4 * 1024

/** What waits to be sent on a stream. */
export type Waiting =
  | { readonly kind: 'headers'; readonly list: HeaderList; readonly isEnd: boolean }
  | { readonly kind: 'data'; readonly bytes: Buffer; readonly isEnd: boolean }
  | { readonly kind: 'reset'; readonly code: number }

/** What a stream needs of its connection. */
export interface StreamOwner {
  /** The stream has something to send. */
  ready(stream: Stream): void
  reset(stream: Stream, code: number): void
  /** Gives the peer window on this stream. */
  credit(stream: Stream, bytes: number): void
  /** Gives the peer window on the connection. */
  consumed(bytes: number): void
  /** Counts bytes that are held for the stream; negative: released. */
  queued(bytes: number): void
}

/**
 * One call. What is sent waits here, in order, while the peer's windows are full. Session, Sender and
 * Receiver write the fields; callers only read them.
 */
export class Stream {
  readonly #owner: StreamOwner
  /** 0 while an outgoing stream waits for MAX_CONCURRENT_STREAMS. */
  id: number
  handler: StreamHandler
  /** Bytes that the peer accepts. */
  sendWindow = 0
  /** Bytes that the peer may send. */
  receiveWindow: number
  /** The peer's first headers have arrived. */
  hasBegunThere = false
  /** The request was HEAD: the answer has no body. */
  isHead = false
  /** Bytes of the peer's `content-length` that are missing; undefined: nothing announced. */
  announcedBytes: number | undefined
  hasEndedHere = false
  hasEndedThere = false
  isClosed = false
  /** What is sent waits until the last of it is there, since the peer has no use for less; false once it is much. */
  sendsWhole = false
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #waitingHeaderBytes = 0
  #unconsumedBytes = 0
  #owedBytes = 0
  /** Of its objects and its first headers. */
  readonly costBytes: number

  /** @param costBytes counts as queued until the stream ends */
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

  /** Bytes of bodies that wait to be sent. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Sends the headers of an outgoing stream, before any body that was given earlier. */
  begin(list: HeaderList, isEnd: boolean): void {
    if (this.isClosed) return
    this.isHead = headerValue(list, ':method') === 'HEAD'
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
    // A small slice would keep the whole buffer of one read in memory. A copy is a slice of Node's pool itself.
    const { byteLength } = given.buffer
    const isPiece = byteLength > Buffer.poolSize && given.length < byteLength / 2
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

  /** Resets the stream after everything that waits; no effect where that ends it. */
  resetBehind(code: number): void {
    this.#send({ kind: 'reset', code })
  }

  /** Resets the stream at once and drops what waits. */
  reset(code: number): void {
    if (!this.isClosed) this.#owner.reset(this, code)
  }

  /** @param windowBytes of a DATA frame, with padding */
  received(windowBytes: number): void {
    this.receiveWindow -= windowBytes
    this.#unconsumedBytes += windowBytes
  }

  /**
   * Gives the window of received bytes back to the peer.
   *
   * @param mayResume false: that of the connection alone, so that the peer sends on its other streams, and
   *   here after resume()
   */
  consumed(bytes: number, mayResume = true): void {
    // forget() gives back what was not consumed.
    const freed = Math.min(bytes, this.#unconsumedBytes)
    if (freed === 0) return
    this.#unconsumedBytes -= freed
    this.#owner.consumed(freed)
    this.#owedBytes += freed
    if (mayResume) this.resume()
  }

  /** The peer may send as much as was consumed. */
  resume(): void {
    // Not for each frame: many small updates cost more than they gain.
    const isLittle = this.#owedBytes === 0 || this.#owedBytes < this.receiveWindow / 2
    if (this.hasEndedThere || this.isClosed || isLittle) return
    this.#owner.credit(this, this.#owedBytes)
    this.#owedBytes = 0
  }

  /** The next thing to send. */
  next(): Waiting | undefined {
    return this.#waiting[0]
  }

  /** The next thing was handed to the transport. @param bytes of a body; otherwise 0 */
  sent(bytes: number): void {
    const next = this.#waiting[0]
    if (next?.kind !== 'data' || bytes === next.bytes.length) this.#waiting.shift()
    else this.#waiting[0] = { ...next, bytes: next.bytes.subarray(bytes) }
    this.#waitingBytes -= bytes
    this.#owner.queued(-bytes)
    if (this.#waiting.length === 0) this.#forgetHeaders()
  }

  /** Releases everything; the stream has ended. */
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
    const isLast = waiting.kind === 'reset' || waiting.isEnd
    if (isLast || this.#waitingBytes > WHOLE_BYTES) this.sendsWhole = false
    if (!this.sendsWhole) this.#owner.ready(this)
  }
}
