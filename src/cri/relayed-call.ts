import { ERROR_CODE } from '../http2/frames.ts'
import type { HeaderList } from '../http2/headers.ts'
import type { QueuedBytes } from '../http2/limits.ts'
import type { Stream, StreamEnd, StreamHandler } from '../http2/stream.ts'
import { status } from '../runtime/status.ts'
import { statusAnswer, statusOf, statusTrailers, without } from './grpc.ts'
import { TOO_MUCH } from './request-message.ts'
import type { BodyEdit, CallEdits } from './rewrite/body-edit.ts'
import type { Link } from './upstream.ts'

/**
 * Bytes of an answer that may wait to be sent, beyond the window, before the runtime has to wait. Several
 * frames, so that a long list does not stop after each one. Of a request nothing beyond the window.
 */
const HELD_BYTES = 128 * 1024
/**
 * Messages that are edited are held whole, and ListImages of a node with many images has several MiB. Of those that
 * are larger than LARGE_BYTES one client may have LARGE_BYTES_AT_ONCE held.
 */
const LARGE_BYTES = 1024 * 1024
const LARGE_BYTES_AT_ONCE = 8 * 1024 * 1024
/** An answer is held for its status while its client has no more than this queued: some twenty calls. */
const UNHURRIED_BYTES = 128 * 1024
const NOTHING = Buffer.alloc(0)
const NOT_RELAYED = 'the answer of the server behind could not be relayed'

export interface CallOptions {
  /** The answer is one message. */
  readonly isUnary: boolean
  /** Changes of messages; absent: none. */
  readonly edits?: CallEdits | undefined
  /** Counts what is held for the client. */
  readonly queue: QueuedBytes
  /** Of the client. */
  readonly large: LargeMessages
  /** Called once, with the call's gRPC code. */
  readonly onDone: (code: number) => void
}

/**
 * Joins a client's stream with a stream of the runtime until both are closed: headers, data with
 * back-pressure, half close, trailers, resets with their codes. A headers-only answer stays one. When the
 * connection to the runtime breaks, the client gets UNAVAILABLE. It is the handler of the client's stream.
 *
 * Trailers of a request, which gRPC does not have, are dropped.
 */
export class RelayedCall implements StreamHandler {
  readonly #client: Stream
  readonly #upstream: Stream
  readonly #link: Pick<Link, 'brokenBy'>
  readonly #options: CallOptions
  readonly #request: BodyCopy
  readonly #response: BodyCopy
  #code: number | undefined
  #hasHeaders = false
  #isAnswered = false

  constructor(client: Stream, link: Link, options: CallOptions) {
    this.#client = client
    this.#link = link
    this.#options = options
    this.#upstream = link.open({
      onHeaders: (list, isEnd) => this.#answer(list, isEnd),
      onData: (bytes, isEnd) => this.#answerData(bytes, isEnd),
      onDrain: () => this.#request.resume(),
      onEnd: (end) => this.#upstreamEnded(end),
    })
    const { edits } = options
    this.#request = new BodyCopy(client, this.#upstream, options, 0, edits?.request)
    this.#response = new BodyCopy(this.#upstream, client, options, HELD_BYTES, edits?.response)
  }

  onHeaders(): void {
    this.#request.end()
  }

  onData(bytes: Buffer, isEnd: boolean): void {
    this.#request.data(bytes, isEnd)
  }

  onDrain(): void {
    this.#response.resume()
  }

  /** @param edit of the answer, instead of the one in `edits` */
  begin(request: HeaderList, isEnd: boolean, edit?: BodyEdit): void {
    if (edit !== undefined) this.#response.edit = edit
    const isChanged = this.#request.edit !== undefined
    this.#upstream.begin(isChanged ? without(request, 'content-length') : request, isEnd)
  }

  /** Ends the call with this status, unless it has ended, and cancels it in the runtime. */
  fail(code: number, message: string): void {
    if (this.#isAnswered || this.#client.isClosed) return
    const list = this.#hasHeaders ? statusTrailers(code, message) : statusAnswer(code, message)
    this.#finish(code, list)
    this.#upstream.reset(ERROR_CODE.cancel)
  }

  #answer(list: HeaderList, isEnd: boolean): void {
    if (this.#isAnswered) return
    if (isEnd) {
      const rest = this.#response.rest()
      if (rest.length > 0) this.#client.sendData(rest, false)
      this.#finish(statusOf(list), list)
    } else {
      this.#hasHeaders = true
      // containerd sends a message and its status in two writes. A client that is woken by the first waits again.
      const { isUnary, queue } = this.#options
      this.#client.sendsWhole = isUnary && queue.bytes <= UNHURRIED_BYTES
      const isChanged = this.#response.edit !== undefined
      this.#client.sendHeaders(isChanged ? without(list, 'content-length') : list, false)
    }
  }

  #answerData(bytes: Buffer, isEnd: boolean): void {
    if (this.#isAnswered) return
    this.#response.data(bytes, isEnd)
    if (!isEnd) return
    this.#isAnswered = true
    declineRest(this.#client)
  }

  #finish(code: number, last: HeaderList): void {
    this.#isAnswered = true
    this.#code = code
    answerWith(this.#client, last)
  }

  #upstreamEnded(end: StreamEnd): void {
    if (this.#isAnswered) return
    // After the data that was received before.
    if (end.how === 'reset') this.#client.resetBehind(end.code)
    else if (end.how === 'lost') this.fail(status.UNAVAILABLE, this.#link.brokenBy())
    else if (end.how === 'streamError') this.fail(status.INTERNAL, NOT_RELAYED)
    else if (end.how === 'overload') this.fail(status.RESOURCE_EXHAUSTED, TOO_MUCH)
  }

  onEnd(end: StreamEnd): void {
    const { edits, onDone } = this.#options
    const hasCode = end.how === 'reset' && end.code !== ERROR_CODE.noError
    this.#upstream.reset(hasCode ? end.code : ERROR_CODE.cancel)
    this.#request.close()
    this.#response.close()
    const code = this.#code ?? (this.#isAnswered ? status.UNKNOWN : codeWithoutAnswer(end))
    edits?.ended?.(code)
    onDone(code)
  }
}

interface Ticket {
  readonly bytes: number
  readonly onAdmitted: () => void
  isWaiting: boolean
}

/** The order in which large messages of one client are held. */
export class LargeMessages {
  readonly #waiting = new Set<Ticket>()
  #bytes = 0

  /** @param onAdmitted called when the message may be read on, perhaps at once */
  take(bytes: number, onAdmitted: () => void): Ticket {
    const ticket: Ticket = { bytes, onAdmitted, isWaiting: true }
    this.#waiting.add(ticket)
    this.#admit()
    return ticket
  }

  /** To be called once. */
  leave(ticket: Ticket): void {
    if (!this.#waiting.delete(ticket)) this.#bytes -= ticket.bytes
    this.#admit()
  }

  #admit(): void {
    for (const ticket of this.#waiting) {
      if (this.#bytes > 0 && this.#bytes + ticket.bytes > LARGE_BYTES_AT_ONCE) return
      this.#waiting.delete(ticket)
      this.#bytes += ticket.bytes
      ticket.isWaiting = false
      ticket.onAdmitted()
    }
  }
}

/** Copies the body of one direction at the pace of its reader. */
class BodyCopy {
  readonly #from: Stream
  readonly #to: Stream
  readonly #bounds: Pick<CallOptions, 'queue' | 'large'>
  readonly #heldBytes: number
  /** Set before the first byte; undefined: the bytes stay as they are. */
  edit: BodyEdit | undefined
  #owedBytes = 0
  #countedBytes = 0
  /** Until the end of the body has been sent. */
  #ticket: Ticket | undefined
  #hasEnded = false

  /** @param heldBytes may wait to be sent, beyond the window, before the source has to wait */
  constructor(
    from: Stream,
    to: Stream,
    bounds: Pick<CallOptions, 'queue' | 'large'>,
    heldBytes: number,
    edit: BodyEdit | undefined,
  ) {
    this.#from = from
    this.#to = to
    this.#bounds = bounds
    this.#heldBytes = heldBytes
    this.edit = edit
  }

  data(received: Buffer, isEnd: boolean): void {
    this.#owedBytes += received.length
    // They wait for the rest of their message, or for their reader.
    const own = Buffer.from(received)
    const bytes = this.edit === undefined ? own : this.edit.chunk(own)
    this.#count(this.edit?.heldBytes() ?? 0)
    const needed = this.edit?.neededBytes() ?? 0
    if (needed > LARGE_BYTES && !isEnd) {
      this.#ticket ??= this.#bounds.large.take(needed, () => this.#from.resume())
    }
    // Nothing drains what is held for its end, and gives its window back.
    if (this.#bounds.queue.isBusy) this.#to.sendsWhole = false
    if (isEnd) this.end(bytes)
    else if (bytes.length > 0) this.#to.sendData(bytes, false)
    const { sendsWhole, waitingBytes } = this.#to
    const canReadOn = waitingBytes < this.#heldBytes && !this.#bounds.queue.isBusy
    if (canReadOn || sendsWhole || waitingBytes === 0) this.resume()
  }

  /** The call has ended: nothing is held for it any more. */
  close(): void {
    this.#count(0)
    this.#leave()
  }

  /** @param last sent before the bytes that the edit holds */
  end(last: Buffer = NOTHING): void {
    const rest = this.rest()
    this.#hasEnded = true
    this.#to.sendData(rest.length === 0 ? last : Buffer.concat([last, rest]), true)
  }

  /** The bytes that the edit holds. */
  rest(): Buffer {
    return this.edit?.rest() ?? NOTHING
  }

  /** Lets the source send more. */
  resume(): void {
    const bytes = this.#owedBytes
    this.#owedBytes = 0
    if (bytes > 0) this.#from.consumed(bytes, this.#ticket?.isWaiting !== true)
    // A large request that was sent would else keep out the answers, its own among them.
    if (this.#hasEnded && this.#to.waitingBytes === 0) this.#leave()
  }

  #leave(): void {
    if (this.#ticket !== undefined) this.#bounds.large.leave(this.#ticket)
    this.#ticket = undefined
  }

  #count(bytes: number): void {
    this.#bounds.queue.add(bytes - this.#countedBytes)
    this.#countedBytes = bytes
  }
}

/** The gRPC code of a call that ended without an answer. */
export function codeWithoutAnswer({ how }: StreamEnd): number {
  return how === 'overload' ? status.RESOURCE_EXHAUSTED : status.CANCELLED
}

/** Ends a stream with these headers; the rest of the request is declined. */
export function answerWith(client: Stream, last: HeaderList): void {
  client.sendHeaders(last, true)
  declineRest(client)
}

/** The same for a call that is not processed. */
export function refuseWith(client: Stream, answer: HeaderList, onEnd: () => void): StreamHandler {
  answerWith(client, answer)
  return {
    onHeaders() {},
    onData: (bytes) => client.consumed(bytes.length),
    onDrain() {},
    onEnd,
  }
}

/** RST_STREAM NO_ERROR after a complete answer (RFC 9113, section 8.1). */
function declineRest(client: Stream): void {
  client.resetBehind(ERROR_CODE.noError)
}
