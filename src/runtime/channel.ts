import { connectWithSharedReads } from '../host/shared-reads.ts'
import { Connection } from '../http2/connection.ts'
import { ERROR_CODE } from '../http2/frames.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import { LIMITS } from '../http2/limits.ts'
import type { StreamEnd } from '../http2/stream.ts'
import { tracing } from '../telemetry/tracing.ts'
import { type CallOptions, type Method, type RuntimeError, runtimeError } from './call.ts'
import { type Metadata, metadataOf } from './metadata.ts'
import { status } from './status.ts'

/**
 * The way to the runtime below us, for all services on its socket, on one connection of our own HTTP/2. A
 * call takes a third of the processor time that it takes by grpc-js, and a pull makes up to ten of them.
 */
export interface RuntimeChannel {
  /** Of the runtime's unix socket. */
  readonly path: string
  /** A unary call. @throws RuntimeError; the signal's reason when that ended the call */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>
  /** A call with a stream for an answer, all of it. @throws as `call` */
  callForAll<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<readonly Response[]>
  /** Called each time an open connection is lost: another runtime may answer after that. */
  onLost(listener: () => void): void
  close(): void
}

/** Before each message: one byte for compression, four for the length. */
const PREFIX_BYTES = 5
/** Of one answer: the largest message the kubelet and containerd accept. */
const ANSWER_BYTES = 16 * 1024 * 1024
const OF_THE_CALL = new Set(['content-type', 'grpc-status', 'grpc-message'])
const TRACE = new Set(['traceparent', 'tracestate'])

/**
 * Connects at the first call, and anew at the first one after the connection was lost. A call while the
 * runtime is away fails at once with UNAVAILABLE.
 *
 * @param socketPath of the runtime's unix socket
 * @param settingsMs as in ConnectionOptions
 */
export function openRuntimeChannel(
  socketPath: string,
  settingsMs: number = LIMITS.settingsMs,
): RuntimeChannel {
  let connection: Connection | undefined
  let isClosed = false
  const listeners: (() => void)[] = []

  function current(): Link {
    if (connection?.isOpen === true) return { connection, socketPath, cause: () => undefined }
    let cause: Error | undefined
    const socket = connectWithSharedReads(socketPath)
    const opened = new Connection(socket, {
      role: 'client',
      settingsMs,
      onClosed: (error) => {
        cause = error
        if (connection === opened) connection = undefined
        if (!opened.settingsReceived || isClosed) return
        for (const listener of listeners) listener()
      },
      onDefect: () => {},
    })
    connection = opened
    return { connection: opened, socketPath, cause: () => cause }
  }

  async function callForAll<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<readonly Response[]> {
    const message = method.requestSerialize(request)
    const answer = await exchange(current(), method.path, message, options)
    return messagesOf(answer).map(method.responseDeserialize)
  }

  return {
    path: socketPath,
    call: async (method, request, options) => {
      const [response, ...others] = await callForAll(method, request, options)
      if (response === undefined || others.length > 0) throw unreadable()
      return response
    },
    callForAll,
    onLost: (listener) => listeners.push(listener),
    close: () => {
      isClosed = true
      connection?.destroy()
    },
  }
}

interface Link {
  readonly connection: Connection
  readonly socketPath: string
  /** Why it was closed. */
  readonly cause: () => Error | undefined
}

function exchange(
  link: Link,
  path: string,
  message: Buffer,
  { deadline, metadata, signal }: CallOptions,
): Promise<Buffer> {
  const { connection } = link
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const parts: Buffer[] = []
    let bytes = 0
    let last: HeaderList = { fields: [] }
    let failure: unknown
    const end = (reason: unknown): void => {
      failure ??= reason
      stream.reset(ERROR_CODE.cancel)
    }
    const cancel = (): void => end(signal?.reason)
    const ms = deadline === undefined ? undefined : Math.max(0, deadline.getTime() - Date.now())
    const timer = ms === undefined ? undefined : setTimeout(() => end(outOfTime(ms)), ms)
    const stream = connection.open({
      onHeaders: (list) => {
        last = list
      },
      onData: (chunk) => {
        stream.consumed(chunk.length)
        bytes += chunk.length
        if (bytes > ANSWER_BYTES) end(runtimeError(status.RESOURCE_EXHAUSTED, TOO_LARGE))
        else parts.push(Buffer.from(chunk))
      },
      onDrain: () => {},
      onEnd: (how) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', cancel)
        const code = headerValue(last, 'grpc-status')
        if (failure !== undefined) reject(failure)
        else if (code === undefined) reject(unanswered(how, last) ?? broken(link))
        else if (code !== '0') reject(statusError(Number(code), last))
        else resolve(Buffer.concat(parts))
      },
    })
    signal?.addEventListener('abort', cancel, { once: true })
    stream.begin({ fields: [...headersFor(path, ms), ...withTrace(metadata ?? [])] }, false)
    const prefix = Buffer.alloc(PREFIX_BYTES)
    prefix.writeUInt32BE(message.length, 1)
    stream.sendData(Buffer.concat([prefix, message]), true)
  })
}

function headersFor(path: string, ms: number | undefined): readonly string[] {
  const pseudo = [':method', 'POST', ':scheme', 'http', ':authority', 'localhost', ':path', path]
  const timeout = ms === undefined ? [] : ['grpc-timeout', `${Math.ceil(ms)}m`]
  return [...pseudo, 'content-type', 'application/grpc', 'te', 'trailers', ...timeout]
}

/** The runtime's spans are below ours, which are below the caller's. */
function withTrace(metadata: Metadata): Metadata {
  const headers = tracing?.outgoing() ?? {}
  if (headers['traceparent'] === undefined) return metadata
  const others = metadata.filter((_, index) => !TRACE.has(metadata[index - (index % 2)] ?? ''))
  return [...others, ...Object.entries(headers).flat()]
}

/** Of an answer, uncompressed. @throws RuntimeError INTERNAL where the last one is not whole */
function messagesOf(answer: Buffer): readonly Buffer[] {
  const messages: Buffer[] = []
  for (let rest = answer; rest.length > 0; ) {
    const end = rest.length < PREFIX_BYTES ? Infinity : PREFIX_BYTES + rest.readUInt32BE(1)
    if (rest[0] !== 0 || end > rest.length) throw unreadable()
    messages.push(rest.subarray(PREFIX_BYTES, end))
    rest = rest.subarray(end)
  }
  return messages
}

function unreadable(): RuntimeError {
  return runtimeError(status.INTERNAL, 'the answer is not one whole message')
}

const TOO_LARGE = `Received message larger than max (${ANSWER_BYTES})`

function outOfTime(ms: number): RuntimeError {
  return runtimeError(
    status.DEADLINE_EXCEEDED,
    `Deadline exceeded after ${(ms / 1_000).toFixed(3)}s`,
  )
}

/**
 * What a peer that is there did instead of answering, in the words of grpc-js.
 *
 * @returns undefined: the connection was lost, or does not serve the call
 */
function unanswered(end: StreamEnd, headers: HeaderList): RuntimeError | undefined {
  if (end.how === 'reset' && end.code !== ERROR_CODE.refusedStream) {
    const code = RESET_STATUS[end.code] ?? status.INTERNAL
    return runtimeError(code, `Received RST_STREAM with code ${end.code}`)
  }
  if (end.how === 'streamError') return runtimeError(status.INTERNAL, 'Protocol error')
  if (end.how !== 'done') return undefined
  const received = headerValue(headers, ':status') ?? 'none'
  return runtimeError(status.UNKNOWN, `Received HTTP status code ${received} and no grpc-status`)
}

const RESET_STATUS: Readonly<Record<number, number>> = {
  [ERROR_CODE.cancel]: status.CANCELLED,
  [ERROR_CODE.enhanceYourCalm]: status.RESOURCE_EXHAUSTED,
}

/** In the words of grpc-js, which call.ts knows. */
function broken({ connection, socketPath, cause }: Link): RuntimeError {
  const text = connection.settingsReceived
    ? `Connection dropped: ${socketPath}`
    : `No connection established to ${socketPath}. Last error: ${cause() ?? 'it was closed'}`
  return runtimeError(status.UNAVAILABLE, text)
}

function statusError(code: number, trailers: HeaderList): RuntimeError {
  const metadata = metadataOf(trailers.fields, OF_THE_CALL)
  return runtimeError(code, decoded(headerValue(trailers, 'grpc-message') ?? ''), metadata)
}

function decoded(message: string): string {
  try {
    return decodeURIComponent(message)
  } catch {
    return message
  }
}
