import { ERROR_CODE } from '../http2/frames.ts'
import type { HeaderList } from '../http2/headers.ts'
import type { QueuedBytes } from '../http2/queued-bytes.ts'
import type { Stream, StreamEnd, StreamHandler } from '../http2/stream.ts'
import { BodyCopy } from './body-copy.ts'
import { GRPC_STATUS, statusAnswer, statusOf, statusTrailers, without } from './headers.ts'
import type { BodyEdit, CallEdits } from './rewrite/body-edit.ts'
import type { Link } from './upstream.ts'

const NOT_RELAYED = 'the answer of the server behind could not be relayed'
export const TOO_MUCH = 'too much is queued for this client of image-resolver'

export interface CallOptions {
  /** What is changed in messages, one by one, on their way. */
  readonly edits?: CallEdits | undefined
  /** Counts what is held for the client. */
  readonly queue: QueuedBytes
  /** Told once, with the call's gRPC code. */
  readonly onDone: (code: number) => void
}

/**
 * A client's stream and the stream of the server behind, joined both ways until both are closed:
 * headers, data with back-pressure, half close, trailers, resets with their codes. An answer that was
 * headers only stays so. When the connection behind breaks, the client gets UNAVAILABLE.
 *
 * Trailers of a request, which gRPC does not have, are not carried over.
 */
export class RelayedCall {
  /** What the client says. */
  readonly fromClient: StreamHandler
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
    const { edits, queue } = options
    const edit = edits?.request
    this.#request = new BodyCopy(client, this.#upstream, { edit, queue })
    this.#response = new BodyCopy(this.#upstream, client, { edit: edits?.response, queue })
    this.fromClient = {
      onHeaders: () => this.#request.end(),
      onData: (bytes, isEnd) => this.#request.data(bytes, isEnd),
      onDrain: () => this.#response.resume(),
      onEnd: (end) => this.#clientEnded(end),
    }
  }

  /** @param edit of the answer, instead of the one that is known already */
  begin(request: HeaderList, isEnd: boolean, edit?: BodyEdit): void {
    if (edit !== undefined) this.#response.editWith(edit)
    const isChanged = this.#request.isEdited
    this.#upstream.begin(isChanged ? without(request, 'content-length') : request, isEnd)
  }

  /** Ends the call with a status of ours, unless it has ended; cancels it at the server. */
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
      const isChanged = this.#response.isEdited
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
    this.#client.sendHeaders(last, true)
    declineRest(this.#client)
  }

  #upstreamEnded(end: StreamEnd): void {
    if (this.#isAnswered) return
    // Behind the data that came before it.
    if (end.how === 'reset') this.#client.resetBehind(end.code)
    else if (end.how === 'gone') this.fail(GRPC_STATUS.unavailable, this.#link.brokenBy())
    else if (end.how === 'streamError') this.fail(GRPC_STATUS.internal, NOT_RELAYED)
    else if (end.how === 'full') this.fail(GRPC_STATUS.resourceExhausted, TOO_MUCH)
  }

  #clientEnded(end: StreamEnd): void {
    const { edits, onDone } = this.#options
    const isTold = end.how === 'reset' && end.code !== ERROR_CODE.noError
    this.#upstream.reset(isTold ? end.code : ERROR_CODE.cancel)
    this.#request.close()
    this.#response.close()
    const code = this.#code ?? (this.#isAnswered ? GRPC_STATUS.unknown : withoutAnswer(end))
    edits?.ended?.(code)
    onDone(code)
  }
}

/** The code of a call that ended without an answer. */
export function withoutAnswer({ how }: StreamEnd): number {
  return how === 'full' ? GRPC_STATUS.resourceExhausted : GRPC_STATUS.canceled
}

/** An answer of ours to a stream that has none yet. */
export function answerWith(client: Stream, answer: HeaderList): void {
  client.sendHeaders(answer, true)
  declineRest(client)
}

/** The same, and the rest of the request is passed over. */
export function refuseWith(client: Stream, answer: HeaderList, onEnd: () => void): StreamHandler {
  answerWith(client, answer)
  return {
    onHeaders() {},
    onData: (bytes) => client.consumed(bytes.length),
    onDrain() {},
    onEnd,
  }
}

/** After the answer nobody wants the rest of the request (RFC 9113, section 8.1). */
function declineRest(client: Stream): void {
  client.resetBehind(ERROR_CODE.noError)
}
