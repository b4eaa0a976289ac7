import { constants, type Http2Stream, type ServerHttp2Stream } from 'node:http2'
import { faithful, GRPC_STATUS, sendHeaders, statusOf, statusTrailers } from './headers.ts'
import type { BodyEdit, CallEdits } from './rewrite-frames.ts'
import type { UpstreamCall } from './upstream.ts'

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR } = constants
/**
 * What one direction of a call may have waiting to be sent before its source has to wait. Node's own
 * limit is one frame: a long list would stop and go on at each.
 */
const HELD_BYTES = 128 * 1024
const WITHOUT_BODY = { endStream: true, sendDate: false }
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false }

export interface RelayedCall {
  /** Ends the call with a status of ours, unless it has ended; cancels it at the server. */
  fail(code: number, message: string): void
}

/**
 * Joins a client's stream to the stream of the server behind, both ways, until both are closed:
 * headers, data with back-pressure, half close, trailers, resets with their codes. An answer that was
 * headers only stays so. When the connection behind breaks, the client gets UNAVAILABLE.
 *
 * Trailers of a request, which gRPC does not have, are not carried over. `onDone` gets the gRPC code.
 * Errors of the client's stream are the caller's to listen to.
 * With `edits` messages are changed one by one on their way.
 */
export function relayCall(
  client: ServerHttp2Stream,
  { stream: upstream, brokenBy }: UpstreamCall,
  onDone: (code: number) => void,
  edits: CallEdits = {},
): RelayedCall {
  let trailers = {}
  let code: number | undefined
  let isAnswered = false
  let sendEnd = sendTrailers

  function sendTrailers(): void {
    sendHeaders(trailers, (headers) => client.sendTrailers(headers))
    declineRest(client)
  }

  function fail(status: number, message: string): void {
    if (isAnswered || client.closed) return
    isAnswered = true
    code = status
    trailers = statusTrailers(status, message)
    if (client.headersSent) client.end()
    else respondWithStatus(client, status, message)
    upstream.close(NGHTTP2_CANCEL)
  }

  /** Hands a reset on, behind the data that came before it. */
  function reset(rstCode: number): void {
    sendEnd = () => client.close(rstCode)
    if (client.headersSent) client.end()
    else client.close(rstCode)
  }

  upstream.on('response', (headers, flags, raw?: readonly string[]) => {
    if (client.closed || isAnswered) return
    const isWhole = (flags & NGHTTP2_FLAG_END_STREAM) !== 0
    const options = isWhole ? WITHOUT_BODY : WITH_TRAILERS
    const answer = faithful(headers, raw ?? [])
    if (edits.response !== undefined) delete answer['content-length']
    try {
      sendHeaders(answer, (each) => client.respond(each, options))
    } catch {
      // Node takes in what it does not give out: a status above 599, for one.
      fail(GRPC_STATUS.internal, 'the answer of the server behind could not be relayed')
      return
    }
    copyBody(upstream, client, edits.response)
    if (!isWhole) return
    isAnswered = true
    code = statusOf(headers)
    declineRest(client)
  })
  upstream.on('trailers', (headers, _flags, raw?: readonly string[]) => {
    if (isAnswered) return
    trailers = faithful(headers, raw ?? [])
    code = statusOf(headers)
  })
  upstream.on('end', () => {
    isAnswered ||= upstream.rstCode === NGHTTP2_NO_ERROR && client.headersSent
  })
  upstream.on('close', () => {
    client.resume()
    if (isAnswered || client.closed) return
    const message = brokenBy()
    if (message === undefined) reset(upstream.rstCode)
    else fail(GRPC_STATUS.unavailable, message)
  })
  upstream.on('error', ignore)

  client.on('wantTrailers', () => sendEnd())
  client.on('close', () => {
    upstream.close(client.rstCode === NGHTTP2_NO_ERROR ? NGHTTP2_CANCEL : client.rstCode)
    upstream.resume()
    const ended = code ?? (isAnswered ? GRPC_STATUS.unknown : GRPC_STATUS.canceled)
    edits.ended?.(ended)
    onDone(ended)
  })
  copyBody(client, upstream, edits.request)

  return { fail }
}

/** The answer to what is no gRPC, in the words of grpc-go. */
export function refuse(client: ServerHttp2Stream): void {
  const message = 'invalid gRPC request content-type'
  respondWithStatus(client, GRPC_STATUS.invalidArgument, message, 415)
}

/** An answer of ours to a stream that has none yet; a client that has left gets none. */
export function respondWithStatus(
  client: ServerHttp2Stream,
  code: number,
  message: string,
  httpStatus = 200,
): void {
  if (client.destroyed || client.closed) return
  const headers = { ':status': httpStatus, 'content-type': 'application/grpc' }
  client.respond({ ...headers, ...statusTrailers(code, message) }, WITHOUT_BODY)
  declineRest(client)
}

/**
 * After the answer nobody wants the rest of the request (RFC 9113, section 8.1). In an immediate,
 * since Node sends trailers in one, and they must be first.
 */
function declineRest(client: ServerHttp2Stream): void {
  if (!client.readableEnded) setImmediate(() => client.close(NGHTTP2_NO_ERROR))
}

function copyBody(from: Http2Stream, to: Http2Stream, edit?: BodyEdit): void {
  const goOn = (): void => {
    from.resume()
  }
  from.on('data', (received: Buffer) => {
    const chunk = edit === undefined ? received : edit.chunk(received)
    if (chunk.length === 0 || to.writableEnded) return
    gather(to)
    if (to.write(chunk) || to.writableLength < HELD_BYTES) return
    from.pause()
    to.once('drain', goOn)
  })
  const end = (): void => {
    if (from.rstCode === NGHTTP2_NO_ERROR && !to.writableEnded) to.end(edit?.rest())
  }
  // A request without a body may have ended before it was known where it goes.
  if (from.readableEnded) end()
  else from.on('end', end)
}

/**
 * What is written within one turn of the event loop goes out together: a request's end in the frame
 * of its message, as it mostly came, and not in a system call of its own.
 */
function gather(to: Http2Stream): void {
  if (to.writableCorked > 0) return
  to.cork()
  setImmediate(() => to.uncork())
}

/** Resets come as 'close' with a code, and that is where they are dealt with. */
function ignore(): void {}
