import type { ErrorCode } from '../errors.ts'
import { type HeaderList, headerValue } from '../http2/headers.ts'
import type { Metadata } from '../runtime/metadata.ts'
import { status } from '../runtime/status.ts'

// gRPC over HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

/** Before each message: one byte for compression, four for the length. */
export const PREFIX_BYTES = 5
/** Characters of an error text. A kubelet's event has 1,024; a longer one is cut. */
const MAX_DETAILS = 16 * 1024
/** Bytes of the trailers of one answer; what does not fit is left out. Node accepts 64 KiB of headers. */
const MAX_TRAILER_BYTES = 32 * 1024
/** Valid for one connection only. The user agent is the one of this process. */
export const NOT_RELAYED = new Set([
  'accept-encoding',
  'content-length',
  'content-type',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-timeout',
  'host',
  'te',
  'user-agent',
])

/** The gRPC status of each error of this project. Errors of the runtime keep their own. */
export const grpcStatus: Readonly<Record<ErrorCode, number>> = {
  NAME_INVALID: status.INVALID_ARGUMENT,
  PLATFORM_INVALID: status.INVALID_ARGUMENT,
  MANIFEST_UNKNOWN: status.NOT_FOUND,
  PLATFORM_UNKNOWN: status.NOT_FOUND,
  UNAUTHORIZED: status.UNAUTHENTICATED,
  DENIED: status.PERMISSION_DENIED,
  TOOMANYREQUESTS: status.RESOURCE_EXHAUSTED,
  UNSUPPORTED: status.FAILED_PRECONDITION,
  NOT_AN_IMAGE: status.FAILED_PRECONDITION,
  DIGEST_INVALID: status.UNAVAILABLE,
  MANIFEST_INVALID: status.UNAVAILABLE,
  UNAVAILABLE: status.UNAVAILABLE,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  CANCELED: status.CANCELLED,
  CONFIG_INVALID: status.FAILED_PRECONDITION,
  UNKNOWN: status.UNKNOWN,
}

/** A status of the transport, for a request that cannot be read. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError'
  readonly code: number
  readonly details: string

  constructor({ code, details }: Pick<GrpcError, 'code' | 'details'>, options?: ErrorOptions) {
    super(details, options)
    this.code = code
    this.details = details
  }
}

/**
 * The request with another `:authority`, and perhaps another path. grpc-go before 1.55, which kubelet and
 * crictl before 1.29 use, sends the path of the socket as `:authority`. Newer servers refuse that.
 *
 * @param path default: the path of the request
 */
export function requestHeaders({ fields, sensitive }: HeaderList, path?: string): HeaderList {
  const request = [':authority', 'localhost']
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    if (name === ':authority' || name === 'host') continue
    const value = fields[index + 1] ?? ''
    request.push(name, name === ':path' ? (path ?? value) : value)
  }
  return { fields: request, sensitive }
}

/** Every field except one. */
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
  const text = message.length > MAX_DETAILS ? `${message.slice(0, MAX_DETAILS - 1)}…` : message
  return { fields: ['grpc-status', String(code), 'grpc-message', percentEncoded(text)] }
}

/** The grpc-status of an answer's last headers; UNKNOWN without one. */
export function statusOf(list: HeaderList): number {
  const code = Number.parseInt(headerValue(list, 'grpc-status') ?? '', 10)
  return Number.isNaN(code) ? status.UNKNOWN : code
}

/** The beginning of trailers, up to 32 KiB. */
export function bounded(trailers: Metadata): Metadata {
  let left = MAX_TRAILER_BYTES
  return trailers.filter((_, index) => {
    const at = index - (index % 2)
    if (at === index) left -= (trailers[at]?.length ?? 0) + (trailers[at + 1]?.length ?? 0)
    return left >= 0
  })
}

function percentEncoded(message: string): string {
  return message.replace(/[^ -$&-~]+/g, (part) =>
    [...Buffer.from(part)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  )
}
