import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'

/** gRPC status codes that the relay gives out itself. */
export const GRPC_STATUS = {
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  internal: 13,
  unavailable: 14,
} as const

/** Every server behind us is local; what the client calls its server is its own affair. */
const AUTHORITY = 'localhost'

/**
 * What was received, fit to be sent again. Node's object folds repeated names into one value or drops
 * the later ones; where that happened it is built anew from the raw list, each value a field of its
 * own, in order.
 */
export function faithful(
  headers: IncomingHttpHeaders,
  raw: readonly string[],
): OutgoingHttpHeaders {
  if (Object.keys(headers).length * 2 === raw.length) return headers
  const copy: Record<string, string[]> = Object.create(null)
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const value = raw[i + 1] ?? ''
    const values = copy[name]
    if (values === undefined) copy[name] = [value]
    else values.push(value)
  }
  return Object.assign(copy, sensitivity(headers))
}

/** The request as it came, but for the name of the server. */
export function requestHeaders(
  headers: IncomingHttpHeaders,
  raw: readonly string[],
): OutgoingHttpHeaders {
  const request = faithful(headers, raw)
  request[':authority'] = AUTHORITY
  delete request['host']
  return request
}

/**
 * Calls `send`, and once more should Node refuse a repeated name of which it knows that it has one
 * value (`authorization`, `date`, …): then with one value, which means the same (RFC 9110, section
 * 5.3, and gRPC over HTTP/2 on custom metadata).
 */
export function sendHeaders<T>(
  headers: OutgoingHttpHeaders,
  send: (headers: OutgoingHttpHeaders) => T,
): T {
  try {
    return send(headers)
  } catch (error) {
    if (!isSingleValueError(error)) throw error
    const joined = Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ])
    return send(Object.fromEntries(joined))
  }
}

export function isGrpc(headers: IncomingHttpHeaders): boolean {
  return headers['content-type']?.startsWith('application/grpc') ?? false
}

/** A status as trailers; with `:status` and `content-type` an answer without a body. */
export function statusTrailers(code: number, message: string): OutgoingHttpHeaders {
  return { 'grpc-status': String(code), 'grpc-message': percentEncoded(message) }
}

/** The grpc-status in an answer's last headers; UNKNOWN where there is none. */
export function statusOf(headers: IncomingHttpHeaders): number {
  const code = Number.parseInt(String(headers['grpc-status']), 10)
  return Number.isNaN(code) ? GRPC_STATUS.unknown : code
}

/** As gRPC over HTTP/2 wants it: what is not printable ASCII, and the percent sign, as %XX. */
function percentEncoded(message: string): string {
  return message.replace(/[^ -$&-~]+/g, (part) =>
    [...Buffer.from(part)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  )
}

function sensitivity(headers: IncomingHttpHeaders): object {
  const symbols = Object.getOwnPropertySymbols(headers)
  return Object.fromEntries(symbols.map((symbol) => [symbol, Reflect.get(headers, symbol)]))
}

function isSingleValueError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_HTTP2_HEADER_SINGLE_VALUE'
}
