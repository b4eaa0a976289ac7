import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { ErrorResponse } from '../../api/v1/error.ts'
import { onlyNamed, type Written } from '../../api/v1/schema.ts'
import { DEFAULT_WAIT_MS, type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import { candidatesOf } from '../resolver/unresolved-error.ts'

/** HTTP status by error code: a total table, so that a new code cannot be forgotten. */
export const httpStatus: Readonly<Record<ErrorCode, number>> = {
  NAME_INVALID: 400,
  PLATFORM_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  PLATFORM_UNKNOWN: 404,
  UNAUTHORIZED: 401,
  DENIED: 403,
  TOOMANYREQUESTS: 429,
  // The reference is right and leads somewhere, but not to a runnable image: asking again, or
  // another replica, does not help, so no 5xx, and 404 would say that nothing is there.
  UNSUPPORTED: 422,
  NOT_AN_IMAGE: 422,
  DIGEST_INVALID: 502,
  MANIFEST_INVALID: 502,
  UNAVAILABLE: 502,
  DEADLINE_EXCEEDED: 504,
  // The caller has gone and does not read it. nginx's number, for access logs.
  CANCELED: 499,
  CONFIG_INVALID: 500,
  UNKNOWN: 500,
}

/** Mistakes in the request itself, which only the HTTP API can see. */
type RequestErrorCode = Exclude<ErrorResponse['errors'][number]['code'], ErrorCode>

export const requestStatus: Readonly<Record<RequestErrorCode, number>> = {
  REQUEST_INVALID: 400,
  ROUTE_UNKNOWN: 404,
  METHOD_UNSUPPORTED: 405,
}

const STATUSES = { ...httpStatus, ...requestStatus }
const NO_STORE = { 'cache-control': 'no-store' }

/** An error as it goes over the wire. */
export interface Failure {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ErrorResponse
  /** Set for a fault of the service itself: for the log, never for the body. */
  readonly unexpected?: unknown
}

/** A mistake in the request itself, or why it is refused before its route is asked. */
export class RequestError extends Error {
  readonly code: ErrorCode | RequestErrorCode
  readonly status: number
  readonly headers: Failure['headers']

  /** @param status where HTTP has a more telling one than the code's */
  constructor(
    code: ErrorCode | RequestErrorCode,
    message: string,
    status = STATUSES[code],
    headers: Failure['headers'] = {},
  ) {
    super(message)
    this.code = code
    this.status = status
    this.headers = headers
  }
}

/**
 * Turns anything thrown into an answer. Never tells the message of an unexpected error.
 *
 * @param explain tell the requests to every candidate of the resolution that failed
 */
export function toFailure(thrown: unknown, explain = false): Failure {
  const rejected = thrown instanceof RequestError ? thrown : rejectedRequest(thrown)
  if (rejected !== undefined) {
    const { code, headers, message, status } = rejected
    return { status, headers: { ...NO_STORE, ...headers }, body: envelope(code, message, {}) }
  }
  const error = toResolveError(thrown)
  const candidates = explain ? candidatesOf(error) : []
  const { found } = error
  const detail = {
    ...(found !== undefined && { found }),
    ...(error.attempts.length > 0 && { attempts: error.attempts }),
    ...(candidates.length > 0 && { candidates }),
  }
  const headers = { ...NO_STORE, ...retryAfter(error) }
  if (error.code === 'UNKNOWN') {
    const body = envelope('UNKNOWN', 'unexpected error; the log of the service has it', detail)
    return { status: httpStatus.UNKNOWN, headers, body, unexpected: thrown }
  }
  const body = envelope(error.code, error.message, detail)
  return { status: httpStatus[error.code], headers, body }
}

function envelope(
  code: ErrorCode | RequestErrorCode,
  message: string,
  detail: Written<ErrorResponse['errors'][number]['detail']>,
): ErrorResponse {
  return onlyNamed<ErrorResponse>(ErrorResponse, { errors: [{ code, message, detail }] })
}

/** Where the framework's own words do not say what to do. */
const MESSAGES: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE:
    'bodies are application/json: send the header `content-type: application/json` (with curl: -H)',
}

/** Fastify throws errors of its own for what never reaches a handler: validation, bad URLs. */
function rejectedRequest(thrown: unknown): RequestError | undefined {
  if (!(thrown instanceof Error) || thrown instanceof ResolveError) return undefined
  if (!('code' in thrown) || !('statusCode' in thrown)) return undefined
  const { code, statusCode, message } = thrown
  if (typeof code !== 'string' || !code.startsWith('FST_')) return undefined
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  return new RequestError('REQUEST_INVALID', MESSAGES[code] ?? message, statusCode)
}

function retryAfter(error: ResolveError): Record<string, string> {
  const fallback = error.code === 'TOOMANYREQUESTS' ? DEFAULT_WAIT_MS : undefined
  const ms = error.retryAfterMs ?? fallback
  return ms === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) }
}

/** Status and message by the code of Node's parser. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the URL and the headers are too long'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request took too long to arrive'],
}

/**
 * Answers what is not even a request: no parser has made one, so there is no reply object and
 * the bytes are written by hand. The connection is of no further use.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [given, message] = CLIENT_ERRORS[error.code ?? ''] ?? [
    400,
    'this is not an HTTP/1.1 request',
  ]
  const refused = new RequestError('REQUEST_INVALID', message, given)
  const { status, headers, body } = toFailure(refused)
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
