import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type Failure, requestFailure } from './failure.ts'

/**
 * Answers what is not even a request: no parser has made one, so there is no reply object and
 * the bytes are written by hand. The connection is of no further use.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, headers, body } = toClientFailure(error.code)
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy())
}

function toClientFailure(code: string | undefined): Failure {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return requestFailure('REQUEST_INVALID', 'the URL and the headers are too long', 431)
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return requestFailure('REQUEST_INVALID', 'the request took too long to arrive', 408)
    default:
      return requestFailure('REQUEST_INVALID', 'this is not an HTTP/1.1 request')
  }
}
