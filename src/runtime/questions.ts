import { connect } from 'node:net'
import { Metadata, status } from '@grpc/grpc-js'
import { Connection } from '../http2/connection.ts'
import { ERROR_CODE } from '../http2/frames.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import { LIMITS } from '../http2/limits.ts'
import type { StreamEnd } from '../http2/stream.ts'
import { type CallOptions, type Method, type RuntimeError, runtimeError } from './call.ts'

/**
 * Small unary calls to the runtime on a connection of our own HTTP/2. Each takes a third of the processor
 * time that it takes by grpc-js, and a pull makes up to ten of them.
 */
export interface Questions {
  /** @throws RuntimeError as callUnary */
  ask<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>
  close(): void
}

/** Before each message: one byte for compression, four for the length. */
const PREFIX_BYTES = 5
/** As in channel.ts. */
const MESSAGE_BYTES = 16 * 1024 * 1024
const OF_THE_CALL = new Set(['content-type', 'grpc-status', 'grpc-message'])

/**
 * Connects at the first call, and anew at the first one after the connection was lost.
 *
 * @param onLost told when a connection is lost that was open
 * @param settingsMs as in ConnectionOptions
 */
export function openQuestions(
  socketPath: string,
  onLost: () => void,
  settingsMs: number = LIMITS.settingsMs,
): Questions {
  let connection: Connection | undefined
  let isClosed = false

  function current(): Link {
    if (connection?.isOpen === true) return { connection, socketPath, cause: () => undefined }
    let cause: Error | undefined
    const socket = connect(socketPath)
    const opened = new Connection(socket, {
      role: 'client',
      settingsMs,
      onClosed: (error) => {
        cause = error
        if (connection === opened) connection = undefined
        if (opened.settingsReceived && !isClosed) onLost()
      },
      onDefect: () => {},
    })
    connection = opened
    return { connection: opened, socketPath, cause: () => cause }
  }

  return {
    ask: async (method, request, options = {}) => {
      const answer = await call(current(), method.path, method.requestSerialize(request), options)
      return method.responseDeserialize(answer)
    },
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

function call(
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
        if (bytes > MESSAGE_BYTES) end(runtimeError(status.RESOURCE_EXHAUSTED, TOO_LARGE))
        else parts.push(chunk)
      },
      onDrain: () => {},
      onEnd: (how) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', cancel)
        const code = headerValue(last, 'grpc-status')
        const answer = Buffer.concat(parts)
        if (failure !== undefined) reject(failure)
        else if (code === undefined) reject(unanswered(how, last) ?? broken(link))
        else if (code !== '0') reject(statusError(Number(code), last))
        else if (!isOneMessage(answer)) reject(runtimeError(status.INTERNAL, NO_MESSAGE))
        else resolve(answer.subarray(PREFIX_BYTES))
      },
    })
    signal?.addEventListener('abort', cancel, { once: true })
    stream.begin({ fields: [...headersFor(path, ms), ...fieldsOf(metadata)] }, false)
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

function fieldsOf(metadata: Metadata | undefined): readonly string[] {
  return Object.entries(metadata?.toHttp2Headers() ?? {}).flatMap(([name, values]) =>
    [values ?? []].flat().flatMap((value) => [name, String(value)]),
  )
}

/** Uncompressed, and nothing behind it. */
function isOneMessage(answer: Buffer): boolean {
  if (answer.length < PREFIX_BYTES || answer[0] !== 0) return false
  return answer.readUInt32BE(1) === answer.length - PREFIX_BYTES
}

const NO_MESSAGE = 'the answer is not one whole message'
const TOO_LARGE = `Received message larger than max (${MESSAGE_BYTES})`

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

const RESET_STATUS: Readonly<Record<number, status>> = {
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
  const metadata = new Metadata()
  const { fields } = trailers
  for (let index = 0; index < fields.length; index += 2) {
    const [name = '', value = ''] = fields.slice(index, index + 2)
    if (name.startsWith(':') || OF_THE_CALL.has(name)) continue
    try {
      metadata.add(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value)
    } catch {
      // Metadata throws for names and values that it does not allow; the error counts without them.
    }
  }
  return runtimeError(code, decoded(headerValue(trailers, 'grpc-message') ?? ''), metadata)
}

function decoded(message: string): string {
  try {
    return decodeURIComponent(message)
  } catch {
    return message
  }
}
