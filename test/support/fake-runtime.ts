import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { createServer as createPlainServer, type Server, type Socket } from 'node:net'
import { framed, unframed } from './grpc-frames.ts'
import type { Cleanup } from './stack.ts'

const WITH_TRAILERS = { waitForTrailers: true, sendDate: false }
const WITHOUT_BODY = { endStream: true, sendDate: false }

/** One call as the runtime saw it. */
export interface RuntimeCall {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[]
  readonly stream: ServerHttp2Stream
  /** All messages of the request, once the client has ended it. Rejects what is no gRPC. */
  readonly request: Promise<Buffer[]>
  /** The HTTP/2 error code with which the stream closed; 0 is a normal end. */
  readonly closed: Promise<number>
}

export type RuntimeHandler = (call: RuntimeCall) => void | Promise<void>

/**
 * A CRI runtime by script, on node:http2, so that any method, kind of streaming, header, trailer or
 * breakdown can be played. A path without a handler is UNIMPLEMENTED, as with grpc-go.
 */
export class FakeRuntime {
  readonly path: string
  readonly calls: RuntimeCall[] = []
  readonly sessions = new Set<ServerHttp2Session>()
  /** Connections taken since the beginning. */
  connections = 0
  readonly #sockets = new Set<Socket>()
  readonly #handlers = new Map<string, RuntimeHandler>()
  #listener: Server | undefined

  constructor(path: string) {
    this.path = path
  }

  handle(path: string, handler: RuntimeHandler): this {
    this.#handlers.set(path, handler)
    return this
  }

  async start(): Promise<void> {
    const server = createServer({
      maxSessionMemory: 1024,
      settings: { initialWindowSize: 1024 * 1024 },
    })
    server.on('session', (session) => {
      this.sessions.add(session)
      session.on('close', () => this.sessions.delete(session))
      session.on('stream', (stream, headers, _flags, raw?: readonly string[]) =>
        this.#begin(stream, headers, raw ?? []),
      )
    })
    server.on('sessionError', () => {})
    this.#listener = createPlainServer((socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      server.emit('connection', socket)
    })
    this.#listener.listen(this.path)
    await once(this.#listener, 'listening')
  }

  /** Breaks all connections and takes the socket away, as a crash and a clean-up would. */
  async stop(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (listener === undefined) return
    listener.close()
    await once(listener, 'close')
  }

  #begin(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const chunks: Buffer[] = []
    const path = headers[':path'] ?? ''
    const handler = this.#handlers.get(path)
    stream.on('error', () => {})
    const call: RuntimeCall = {
      path,
      headers,
      rawHeaders: raw,
      stream,
      request: new Promise<void>((resolve) => stream.on('end', resolve)).then(() =>
        unframed(Buffer.concat(chunks)),
      ),
      closed: new Promise((resolve) => {
        stream.on('close', () => resolve(stream.rstCode ?? 0))
      }),
    }
    // Not every handler wants to know.
    call.request.catch(() => {})
    this.calls.push(call)
    if (handler === undefined) {
      respondStatus(stream, 12, `unknown method ${path}`)
      return
    }
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    void handler(call)
  }
}

/** A started runtime that stops when the test ends. */
export async function startFakeRuntime(t: Cleanup, path: string): Promise<FakeRuntime> {
  const runtime = new FakeRuntime(path)
  await runtime.start()
  t.after(() => runtime.stop())
  return runtime
}

/** Headers, messages, trailers: the usual good answer. */
export function respond(
  stream: ServerHttp2Stream,
  messages: readonly Buffer[],
  answer: Answer = {},
): void {
  respondFramed(stream, framed(...messages), answer)
}

/** The same, with messages that were framed before. */
export function respondFramed(
  stream: ServerHttp2Stream,
  bytes: Buffer,
  { headers = {}, trailers = {} }: Answer = {},
): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...headers }, WITH_TRAILERS)
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', ...trailers }))
  stream.end(bytes)
}

interface Answer {
  readonly headers?: OutgoingHttpHeaders
  readonly trailers?: OutgoingHttpHeaders
}

/** An answer of headers only. */
export function respondStatus(stream: ServerHttp2Stream, code: number, message: string): void {
  const status = { 'grpc-status': String(code), 'grpc-message': encodeURI(message) }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, WITHOUT_BODY)
}

export interface Arrival {
  readonly arrived: Promise<RuntimeCall>
  readonly hang: (call: RuntimeCall) => void
}

/** A handler that answers nothing, and the moment when its first call came. */
export function hanging(): Arrival {
  let arrive: (call: RuntimeCall) => void = () => {}
  const arrived = new Promise<RuntimeCall>((resolve) => {
    arrive = resolve
  })
  return { arrived, hang: (call) => arrive(call) }
}
