import { toResolveError } from '../errors.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import type { Stream, StreamEnd, StreamHandler } from '../http2/stream.ts'
import { withAttempts } from '../runtime/attempts-trailer.ts'
import { isRuntimeError } from '../runtime/call.ts'
import { type Metadata, metadataOf } from '../runtime/metadata.ts'
import { status, statusName } from '../runtime/status.ts'
import type { Logger } from '../telemetry/log.ts'
import { markFailed, type Span, tracing, within } from '../telemetry/tracing.ts'
import {
  bounded,
  GrpcError,
  grpcStatus,
  NOT_RELAYED,
  PREFIX_BYTES,
  statusAnswer,
  statusTrailers,
} from './grpc.ts'
import { answerWith, codeWithoutAnswer } from './relayed-call.ts'
import { RequestMessage, type RequestMessageOptions } from './request-message.ts'
import { MalformedMessageError } from './wire.ts'

/** The default of every gRPC server; a kubelet's PullImage with all its annotations has a tenth. */
const REQUEST_BYTES = 4 * 1024 * 1024
const ANSWER_BYTES = 16 * 1024 * 1024
/** The longest delay of a timer; a later deadline is left to the client. */
const MAX_TIMER_MS = 2 ** 31 - 1
const TIMEOUT = /^(\d{1,8})([HMSmun])$/
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
}
const ANSWER_HEADERS: HeaderList = {
  fields: [
    ...[':status', '200', 'content-type', 'application/grpc'],
    ...['grpc-encoding', 'identity', 'grpc-accept-encoding', 'identity,deflate,gzip'],
  ],
}

/** The call as its method sees it. */
export interface Caller {
  /** The client's metadata, valid to be sent on. */
  readonly metadata: Metadata
  /** undefined: the client set none. */
  readonly deadline: Date | undefined
  /** Aborts when the client leaves or its deadline passes. */
  readonly signal: AbortSignal
}

/** A method that is answered in this process; messages are bytes. */
export interface OwnedMethod {
  /**
   * A RuntimeError ends the call with its own code, text and trailers, because the kubelet interprets the
   * text. A ResolveError gets its gRPC status; a GrpcError is one.
   */
  answer(request: Buffer, caller: Caller): Promise<Buffer>
  /** For calls without a deadline; absent: no limit. */
  readonly limitMs?: number
  /** The largest request. Default 4 MiB. */
  readonly maxRequestBytes?: number
}

interface Status {
  readonly code: number
  readonly details: string
  readonly metadata?: Metadata | undefined
}

export interface OwnedCallOptions {
  readonly method: OwnedMethod
  /** Counts what is held for the client. */
  readonly queue: RequestMessageOptions['queue']
  /** For faults of this process. */
  readonly log: Pick<Logger, 'error'>
  /** Called once, with the call's gRPC code. */
  readonly onDone: (code: number) => void
}

/**
 * A unary call that is answered in this process, on the client's own stream. The method is called when
 * the request has ended. The call ends with the method's answer, at the client's deadline or by `fail`;
 * the client may leave earlier.
 */
export class OwnedCall {
  /** Receives what the client sends. */
  readonly fromClient: StreamHandler
  readonly #client: Stream
  readonly #options: OwnedCallOptions
  readonly #message: RequestMessage
  readonly #controller = new AbortController()
  readonly #metadata: Metadata
  readonly #span: Span | undefined
  #deadline: Date | undefined
  #timer: NodeJS.Timeout | undefined
  #isRead = false
  #code: number | undefined

  constructor(client: Stream, list: HeaderList, isEnd: boolean, options: OwnedCallOptions) {
    this.#client = client
    this.#options = options
    this.#metadata = metadataOf(list.fields, NOT_RELAYED)
    this.#span = startSpan(list)
    this.#message = new RequestMessage({
      queue: options.queue,
      maxBytes: options.method.maxRequestBytes ?? REQUEST_BYTES,
      encoding: headerValue(list, 'grpc-encoding') ?? 'identity',
    })
    this.fromClient = {
      onHeaders: () => this.#requestEnded(),
      onData: (bytes, isLast) => this.#data(bytes, isLast),
      onDrain: () => {},
      onEnd: (end) => this.#clientEnded(end),
    }
    this.#startTimer(headerValue(list, 'grpc-timeout'))
    if (isEnd) this.#requestEnded()
  }

  /** Ends the call with this status, unless it has ended, and aborts its method. */
  fail(code: number, details: string): void {
    this.#finish({ code, details })
    this.#controller.abort()
  }

  #startTimer(timeout: string | undefined): void {
    const { limitMs } = this.#options.method
    if (timeout === undefined) {
      if (limitMs === undefined) return
      // The method rejects with this reason, and adds what it was doing.
      const reason = new DOMException(`no answer within ${limitMs} ms`, 'TimeoutError')
      this.#timer = setTimeout(() => this.#controller.abort(reason), limitMs)
      return
    }
    const [, count, unit = ''] = TIMEOUT.exec(timeout) ?? []
    const ms = Number(count) * (UNIT_MS[unit] ?? Number.NaN)
    if (Number.isNaN(ms)) {
      this.fail(status.INTERNAL, `Invalid grpc-timeout value "${timeout.slice(0, 32)}"`)
      return
    }
    this.#deadline = new Date(Date.now() + ms)
    if (ms > MAX_TIMER_MS) return
    this.#timer = setTimeout(() => this.fail(status.DEADLINE_EXCEEDED, 'Deadline exceeded'), ms)
  }

  #data(bytes: Buffer, isLast: boolean): void {
    this.#client.consumed(bytes.length)
    if (this.#code !== undefined) return
    try {
      this.#message.push(bytes)
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error
      this.fail(error.code, error.details)
    }
    if (isLast) this.#requestEnded()
  }

  #requestEnded(): void {
    if (this.#isRead || this.#code !== undefined) return
    this.#isRead = true
    this.#callMethod().then(
      (answer) => this.#answer(answer),
      (thrown: unknown) => this.#finish(toStatus(thrown, this.#options.log)),
    )
  }

  async #callMethod(): Promise<Buffer> {
    const { signal } = this.#controller
    const request = await this.#message.read(signal)
    // The client may have left in the meantime.
    signal.throwIfAborted()
    const caller = { metadata: this.#metadata, deadline: this.#deadline, signal }
    return within(this.#span, () => this.#options.method.answer(request, caller))
  }

  #answer(message: Buffer): void {
    if (this.#code !== undefined || this.#client.isClosed) return
    if (message.length > ANSWER_BYTES) {
      const details = `Sent message larger than max (${message.length} vs. ${ANSWER_BYTES})`
      this.#finish({ code: status.RESOURCE_EXHAUSTED, details })
      return
    }
    this.#code = status.OK
    const prefix = Buffer.alloc(PREFIX_BYTES)
    prefix.writeUInt32BE(message.length, 1)
    this.#client.sendHeaders(ANSWER_HEADERS, false)
    this.#client.sendData(Buffer.concat([prefix, message]), false)
    answerWith(this.#client, statusTrailers(status.OK, 'OK'))
  }

  #finish({ code, details, metadata }: Status): void {
    if (this.#code !== undefined || this.#client.isClosed) return
    this.#code = code
    const { fields } = statusAnswer(code, details)
    const trailers = bounded(metadata ?? [])
    answerWith(this.#client, { fields: [...fields, ...trailers] })
  }

  #clientEnded(end: StreamEnd): void {
    clearTimeout(this.#timer)
    this.#message.release()
    if (this.#code === undefined) this.#controller.abort()
    const code = this.#code ?? codeWithoutAnswer(end)
    if (this.#span !== undefined) endSpan(this.#span, code)
    this.#options.onDone(code)
  }
}

function startSpan(list: HeaderList): Span | undefined {
  if (tracing === undefined) return undefined
  const method = headerValue(list, ':path')?.slice(1) ?? ''
  return tracing.start(method, {
    kind: 'server',
    parent: tracing.incoming({
      traceparent: headerValue(list, 'traceparent'),
      tracestate: headerValue(list, 'tracestate'),
    }),
    attributes: { 'rpc.system.name': 'grpc', 'rpc.method': method },
  })
}

function endSpan(span: Span, code: number): void {
  const name = statusName(code)
  span.setAttribute('rpc.response.status_code', name)
  if (code !== status.OK && code !== status.CANCELLED) markFailed(span, name)
  span.end()
}

function toStatus(thrown: unknown, log: Pick<Logger, 'error'>): Status {
  if (thrown instanceof GrpcError || isRuntimeError(thrown)) return thrown
  if (thrown instanceof MalformedMessageError) {
    const details = `the request is no protobuf message: ${thrown.message}`
    return { code: status.INVALID_ARGUMENT, details }
  }
  const error = toResolveError(thrown)
  const code = grpcStatus[error.code]
  if (error.code !== 'UNKNOWN') {
    return { code, details: error.message, metadata: withAttempts([], error.attempts) }
  }
  log.error({ err: thrown }, 'unexpected error')
  return { code, details: 'unexpected error; the log of image-resolver has it' }
}
