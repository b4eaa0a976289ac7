import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect as connectSocket } from 'node:net'
import type { TestContext } from 'node:test'
import { framed, unframed } from './grpc-frames.ts'

/** How a call went, down to what gRPC libraries hide. */
export interface GrpcAnswer {
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly messages: readonly Buffer[]
  readonly trailers: IncomingHttpHeaders
  readonly rawTrailers: readonly string[]
  /** The answer was one HEADERS frame and nothing else. */
  readonly trailersOnly: boolean
  /** undefined when no status came. */
  readonly code: number | undefined
  readonly message: string
  /** The HTTP/2 error code that ended the stream; 0 is a normal end. */
  readonly resetCode: number
}

/** A gRPC client over a unix socket that hides nothing. Closes when the test ends. */
export class GrpcClient {
  readonly session: ClientHttp2Session

  constructor(path: string, authority = 'http://localhost') {
    this.session = connect(authority, {
      createConnection: () => connectSocket(path),
      maxSessionMemory: 1024,
      settings: { initialWindowSize: 1024 * 1024 },
    })
    this.session.on('error', () => {})
  }

  /** Opens a call without ending its request. */
  open(path: string, metadata: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const stream = this.session.request(
      {
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...metadata,
      },
      { endStream: false },
    )
    stream.on('error', () => {})
    return stream
  }

  /** Sends all messages and waits for the whole answer. */
  call(
    path: string,
    messages: readonly Buffer[] = [],
    metadata: OutgoingHttpHeaders = {},
  ): Promise<GrpcAnswer> {
    const stream = this.open(path, metadata)
    stream.end(framed(...messages))
    return answerOf(stream)
  }

  async close(): Promise<void> {
    if (this.session.destroyed) return
    this.session.destroy()
    await once(this.session, 'close')
  }
}

export function openGrpcClient(t: TestContext, path: string, authority?: string): GrpcClient {
  const client = new GrpcClient(path, authority)
  t.after(() => client.close())
  return client
}

/** Reads a call's answer to its end, whatever the end is. */
export function answerOf(stream: ClientHttp2Stream): Promise<GrpcAnswer> {
  let headers: IncomingHttpHeaders = {}
  let rawHeaders: readonly string[] = []
  let trailers: IncomingHttpHeaders = {}
  let rawTrailers: readonly string[] = []
  let trailersOnly = false
  const chunks: Buffer[] = []
  stream.on('response', (received, flags, raw?: readonly string[]) => {
    headers = received
    rawHeaders = raw ?? []
    trailersOnly = (flags & 1) !== 0
    if (trailersOnly) trailers = headers
  })
  stream.on('trailers', (received, _flags, raw?: readonly string[]) => {
    trailers = received
    rawTrailers = raw ?? []
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve) => {
    stream.on('close', () => {
      const status = trailers['grpc-status']
      resolve({
        headers,
        rawHeaders,
        messages: unframed(Buffer.concat(chunks)),
        trailers,
        rawTrailers,
        trailersOnly,
        code: status === undefined ? undefined : Number(status),
        message: decodeURIComponent(String(trailers['grpc-message'] ?? '')),
        resetCode: stream.rstCode ?? 0,
      })
    })
  })
}
