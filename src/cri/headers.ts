import { type HeaderList, headerValue } from '../http2/headers.ts'

/** gRPC status codes that the relay gives out itself. */
export const GRPC_STATUS = {
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  resourceExhausted: 8,
  internal: 13,
  unavailable: 14,
} as const

/** Every server behind us is local; what the client calls its server is its own affair. */
const AUTHORITY = 'localhost'

/**
 * The request as it came, but for the name of the server and perhaps its path. grpc-go before 1.55, and
 * so kubelet and crictl before 1.29, send the path of the socket as `:authority`, which newer servers
 * and Node's refuse.
 *
 * @param path instead of the one asked for
 */
export function requestHeaders({ fields, sensitive }: HeaderList, path?: string): HeaderList {
  const request = [':authority', AUTHORITY]
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    if (name === ':authority' || name === 'host') continue
    const value = fields[index + 1] ?? ''
    request.push(name, name === ':path' ? (path ?? value) : value)
  }
  return { fields: request, sensitive }
}

/** All fields but one. */
export function without({ fields, sensitive }: HeaderList, name: string): HeaderList {
  return { fields: fields.filter((_, index) => fields[index - (index % 2)] !== name), sensitive }
}

export function isGrpc(list: HeaderList): boolean {
  return headerValue(list, 'content-type')?.startsWith('application/grpc') ?? false
}

/** An answer without a body. */
export function statusAnswer(code: number, message: string, httpStatus = 200): HeaderList {
  const head = [':status', String(httpStatus), 'content-type', 'application/grpc']
  return { fields: [...head, ...statusTrailers(code, message).fields] }
}

export function statusTrailers(code: number, message: string): HeaderList {
  return { fields: ['grpc-status', String(code), 'grpc-message', percentEncoded(message)] }
}

/** The grpc-status in an answer's last headers; UNKNOWN where there is none. */
export function statusOf(list: HeaderList): number {
  const code = Number.parseInt(headerValue(list, 'grpc-status') ?? '', 10)
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
