import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { Semaphore } from '../concurrency/semaphore.ts'
import { toResolveError } from '../errors.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import type { QueuedBytes } from '../http2/queued-bytes.ts'
import type { Stream, StreamEnd, StreamHandler } from '../http2/stream.ts'
import { withAttempts } from '../runtime/attempts-trailer.ts'
import { isRuntimeError } from '../runtime/call.ts'
import type { Logger } from '../telemetry/log.ts'
import { answerWith, TOO_MUCH, withoutAnswer } from './call.ts'
import { statusAnswer, statusTrailers } from './headers.ts'
import { fieldsOf, metadataOf } from './metadata.ts'
import { RequestMessage } from './request-message.ts'
import { GrpcError, grpcStatus } from './status.ts'
import { MalformedMessageError } from './wire.ts'

/** What every gRPC server takes by default; a kubelet's PullImage with all its annotations has a tenth. */
const REQUEST_BYTES = 4 * 1024 * 1024
const ANSWER_BYTES = 16 * 1024 * 1024
const PREFIX_BYTES = 5
/** The longest delay of a timer; a later deadline is left to the caller. */
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
const inflated = promisify(inflate)
const DECOMPRESS = new Map([
  ['gzip', promisify(gunzip)],
  ['deflate', inflated],
])
/** One message at a time in this process: 4 KiB become 4 MiB, which count only once they are there. */
const decompressing = new Semaphore(1)

/** What a method knows of its caller. */
export interface Caller {
  /** The caller's metadata, fit to be sent on. */
  readonly metadata: Metadata
  /** undefined: the caller set none. */
  readonly deadline: Date | undefined
  /** Aborts when the caller leaves or its time is up. */
  readonly signal: AbortSignal
}

/** A method that is answered in this process; messages are bytes. */
export interface OwnedMethod {
  /**
   * Errors of the runtime reach the caller as they are: code, text, trailers and details, since kubelet
   * reads a meaning from the text. ResolveErrors get a code of gRPC; a GrpcError is one.
   */
  answer(request: Buffer, caller: Caller): Promise<Buffer>
  /** For callers that bring no deadline; absent: these decide for themselves. */
  readonly limitMs?: number
}

/** The end of a call. */
interface Status {
  readonly code: number
  readonly details: string
  readonly metadata?: Metadata | undefined
}

export interface OwnedCallOptions {
  readonly method: OwnedMethod
  /** Counts what is held for the client. */
  readonly queue: Pick<QueuedBytes, 'add' | 'isFull'>
  /** Told of our own faults. */
  readonly log: Pick<Logger, 'error'>
  /** Told once, with the call's gRPC code. */
  readonly onDone: (code: number) => void
}

/**
 * One unary call, answered in this process on its client's own stream, by gRPC over HTTP/2
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The method is called when the
 * client has ended its request. The call ends with what the method answers, at the client's deadline, or
 * by `fail`; its client may leave before.
 */
export class OwnedCall {
  /** What the client says. */
  readonly fromClient: StreamHandler
  readonly #client: Stream
  readonly #options: OwnedCallOptions
  readonly #encoding: string
  readonly #message: RequestMessage
  readonly #controller = new AbortController()
  readonly #metadata: Metadata
  #deadline: Date | undefined
  #timer: NodeJS.Timeout | undefined
  #isRead = false
  #code: number | undefined

  constructor(client: Stream, list: HeaderList, isEnd: boolean, options: OwnedCallOptions) {
    this.#client = client
    this.#options = options
    this.#encoding = headerValue(list, 'grpc-encoding') ?? 'identity'
    this.#metadata = metadataOf(list)
    this.#message = new RequestMessage(options.queue, REQUEST_BYTES)
    this.fromClient = {
      onHeaders: () => this.#requestEnded(),
      onData: (bytes, isLast) => this.#data(bytes, isLast),
      onDrain: () => {},
      onEnd: (end) => this.#clientEnded(end),
    }
    this.#startTimer(headerValue(list, 'grpc-timeout'))
    if (isEnd) this.#requestEnded()
  }

  /** Ends the call with a status of ours, unless it has ended; its method is told by the signal. */
  fail(code: number, details: string): void {
    this.#finish({ code, details })
    this.#controller.abort()
  }

  #startTimer(timeout: string | undefined): void {
    const { limitMs } = this.#options.method
    if (timeout === undefined) {
      if (limitMs !== undefined) this.#timer = setTimeout(() => this.#outOfTime(limitMs), limitMs)
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

  /** The method says what it was doing. */
  #outOfTime(limitMs: number): void {
    this.#controller.abort(new DOMException(`no answer within ${limitMs} ms`, 'TimeoutError'))
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
    const caller = {
      metadata: this.#metadata,
      deadline: this.#deadline,
      signal: this.#controller.signal,
    }
    this.#request()
      .then((request) => {
        // Its client may have left in the same breath.
        caller.signal.throwIfAborted()
        return this.#options.method.answer(request, caller)
      })
      .then(
        (answer) => this.#answer(answer),
        (thrown: unknown) => this.#finish(toStatus(thrown, this.#options.log)),
      )
  }

  async #request(): Promise<Buffer> {
    const { bytes, isCompressed } = this.#message.whole()
    if (!isCompressed || this.#encoding === 'identity') return bytes
    const decompress = DECOMPRESS.get(this.#encoding)
    if (decompress === undefined) {
      const encoding = this.#encoding.slice(0, 32)
      const details = `Received message compressed with unsupported encoding "${encoding}"`
      throw new GrpcError({ code: status.UNIMPLEMENTED, details })
    }
    const { signal } = this.#controller
    return await decompressing.run('', signal, () => this.#decompressed(decompress, bytes))
  }

  async #decompressed(decompress: typeof inflated, bytes: Buffer): Promise<Buffer> {
    if (this.#options.queue.isFull) {
      throw new GrpcError({ code: status.RESOURCE_EXHAUSTED, details: TOO_MUCH })
    }
    try {
      const whole = await decompress(bytes, { maxOutputLength: REQUEST_BYTES })
      if (!this.#client.isClosed) this.#message.replace(whole)
      return whole
    } catch (cause) {
      throw notDecompressed(cause)
    }
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
    const trailers = metadata === undefined ? [] : fieldsOf(metadata)
    answerWith(this.#client, { fields: [...fields, ...trailers] })
  }

  #clientEnded(end: StreamEnd): void {
    clearTimeout(this.#timer)
    this.#message.forget()
    const isLeft = this.#code === undefined
    if (isLeft) this.#controller.abort()
    this.#options.onDone(this.#code ?? withoutAnswer(end))
  }
}

function notDecompressed(cause: unknown): GrpcError {
  const isTooLong = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
  if (!isTooLong)
    return new GrpcError(
      { code: status.INTERNAL, details: 'Failed to decompress message' },
      { cause },
    )
  const details = `Received message that decompresses to a size larger than ${REQUEST_BYTES}`
  return new GrpcError({ code: status.RESOURCE_EXHAUSTED, details }, { cause })
}

function toStatus(thrown: unknown, log: Pick<Logger, 'error'>): Status {
  if (thrown instanceof GrpcError) return thrown
  if (isRuntimeError(thrown)) return statusOfRuntime(thrown)
  if (thrown instanceof MalformedMessageError) {
    const details = `the request is no protobuf message: ${thrown.message}`
    return { code: status.INVALID_ARGUMENT, details }
  }
  const error = toResolveError(thrown)
  const code = grpcStatus[error.code]
  if (error.code !== 'UNKNOWN') {
    return { code, details: error.message, metadata: withAttempts(new Metadata(), error.attempts) }
  }
  log.error({ err: thrown }, 'unexpected error')
  return { code, details: 'unexpected error; the log of image-resolver has it' }
}

function statusOfRuntime({ code, details, metadata }: ServiceError): Status {
  return { code, details, metadata }
}
