import type { Connection } from '../http2/connection.ts'
import { ERROR_CODE } from '../http2/frames.ts'
import { headerValue } from '../http2/headers.ts'
import { requestHeaders, statusOf } from './headers.ts'

/** @returns the gRPC code of the answer to an empty message; undefined: there was none in time */
export type AskStatus = (path: string, limitMs: number) => Promise<number | undefined>

/** An empty gRPC message: not compressed, of no length. */
const EMPTY_MESSAGE = Buffer.alloc(5)

/** Calls of our own on a connection to a runtime, beside those of its client. */
export function askOn(connection: Pick<Connection, 'open'>): AskStatus {
  return (path, limitMs) =>
    new Promise((resolve) => {
      let status: number | undefined
      const limit = setTimeout(() => stream.reset(ERROR_CODE.cancel), limitMs)
      const stream = connection.open({
        onHeaders: (list) => {
          if (headerValue(list, 'grpc-status') !== undefined) status = statusOf(list)
        },
        onData: (bytes) => stream.consumed(bytes.length),
        onDrain: () => {},
        onEnd: () => {
          clearTimeout(limit)
          resolve(status)
        },
      })
      stream.begin(requestHeaders({ fields: requestFor(path) }), false)
      stream.sendData(EMPTY_MESSAGE, true)
    })
}

function requestFor(path: string): readonly string[] {
  const pseudo = [':method', 'POST', ':scheme', 'http', ':path', path]
  return [...pseudo, 'content-type', 'application/grpc', 'te', 'trailers']
}
