import { once } from 'node:events'
import {
  type ClientHttp2Session,
  createServer as createHttp2Server,
  connect as http2Connect,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Connection } from '../../src/http2/connection.ts'
import type { HeaderList } from '../../src/http2/headers.ts'
import type { OnStream } from '../../src/http2/receiver.ts'
import type { Stream } from '../../src/http2/stream.ts'
import { RecordedStream } from './recorded-stream.ts'
import { temporaryFolder } from './stack.ts'

/** An end of ours on a unix socket. */
export interface OurEnd {
  readonly connection: Connection
  readonly socket: Socket
  /** With which cause it closed, once it has. */
  readonly closed: Promise<Error | undefined>
  /** What went wrong that nobody has thought of. */
  readonly defects: readonly unknown[]
}

/** Our server and Node's client. */
export interface ServedNode {
  readonly ours: OurEnd
  readonly node: ClientHttp2Session
}

/** Our client and Node's server. */
export interface DialledNode {
  readonly ours: OurEnd
  readonly node: ServerHttp2Session
}

function ourEnd(socket: Socket, role: 'client' | 'server', onStream?: OnStream): OurEnd {
  let onClosed = (_cause: Error | undefined): void => {}
  const closed = new Promise<Error | undefined>((resolve) => {
    onClosed = resolve
  })
  const defects: unknown[] = []
  const onDefect = (error: unknown): void => {
    defects.push(error)
  }
  const served = onStream === undefined ? {} : { onStream }
  const connection = new Connection(socket, { role, onClosed, onDefect, ...served })
  return { connection, socket, closed, defects }
}

export async function serveNode(
  t: TestContext,
  onStream: OnStream,
  options: SecureClientSessionOptions = {},
): Promise<ServedNode> {
  const path = `${temporaryFolder(t)}/h2.sock`
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const node = http2Connect('http://localhost', {
    createConnection: () => connect(path),
    ...options,
  })
  node.on('error', () => {})
  const [socket] = (await accepted) as [Socket]
  const ours = ourEnd(socket, 'server', onStream)
  // Not before: from Node 24 on it ends the sessions, too.
  t.after(() => {
    server.close()
    node.destroy()
    socket.destroy()
  })
  if (node.connecting) await once(node, 'connect')
  return { ours, node }
}

export async function dialNode(
  t: TestContext,
  onStream: (stream: ServerHttp2Stream, path: string, headers: IncomingHttpHeaders) => void,
  options: ServerOptions = {},
): Promise<DialledNode> {
  const path = `${temporaryFolder(t)}/h2.sock`
  const server = createHttp2Server(options)
  server.on('sessionError', () => {})
  server.listen(path)
  await once(server, 'listening')
  const accepted = once(server, 'session')
  const socket = connect(path)
  const ours = ourEnd(socket, 'client')
  const [node] = (await accepted) as [ServerHttp2Session]
  node.on('error', () => {})
  node.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    onStream(stream, headers[':path'] ?? '', headers)
  })
  // Not before: from Node 24 on it ends the sessions, too.
  t.after(() => {
    server.close()
    node.destroy()
    socket.destroy()
  })
  return { ours, node }
}

export function dialPath(t: TestContext, path: string): OurEnd {
  const socket = connect(path)
  t.after(() => socket.destroy())
  return ourEnd(socket, 'client')
}

export interface OurCall extends RecordedStream {
  readonly stream: Stream
}

export function requestTo(path: string, more: readonly string[] = []): HeaderList {
  const fields = [':method', 'POST', ':scheme', 'http', ':path', path]
  return { fields: [...fields, ':authority', 'localhost', ...more] }
}

/** A call of ours that has not begun. */
export function openCall(
  { connection }: OurEnd,
  options?: ConstructorParameters<typeof RecordedStream>[0],
): OurCall {
  const call = new RecordedStream(options)
  const stream = connection.open(call)
  return Object.assign(call, { stream })
}
