import { ErrorResponse } from '../../api/v1/error.ts'
import { onlyNamed, type Written } from '../../api/v1/schema.ts'
import { DEFAULT_WAIT_MS, type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import { candidatesOf } from '../resolver/unresolved.ts'
import { httpStatus, type RequestErrorCode, requestStatus } from './status.ts'

/** An error as it goes over the wire. */
export interface Failure {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ErrorResponse
  /** Set when it is nobody's mistake but ours: for the log, never for the body. */
  readonly unexpected?: unknown
}

/** A mistake in the request that is found on the way. */
export class RequestError extends Error {
  readonly code: RequestErrorCode

  constructor(code: RequestErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/**
 * Turns anything thrown into an answer. Never tells the message of an unexpected error.
 *
 * @param explain tell the requests to every candidate of the resolution that failed
 */
export function toFailure(thrown: unknown, explain = false): Failure {
  if (thrown instanceof RequestError) return requestFailure(thrown.code, thrown.message)
  const rejected = rejectedRequest(thrown)
  if (rejected !== undefined) return rejected

  const error = toResolveError(thrown)
  const candidates = explain ? candidatesOf(error) : []
  const { found } = error
  const detail = {
    ...(found !== undefined && { found }),
    ...(error.attempts.length > 0 && { attempts: error.attempts }),
    ...(candidates.length > 0 && { candidates }),
  }
  const headers = { 'cache-control': 'no-store', ...retryAfter(error) }
  if (error.code === 'UNKNOWN') {
    const body = envelope('UNKNOWN', 'unexpected error; the log of the service has it', detail)
    return { status: httpStatus.UNKNOWN, headers, body, unexpected: thrown }
  }
  const body = envelope(error.code, error.message, detail)
  return { status: httpStatus[error.code], headers, body }
}

/** A mistake in the request itself. `status` where HTTP has a more telling one than the code's. */
export function requestFailure(
  code: RequestErrorCode,
  message: string,
  status = requestStatus[code],
): Failure {
  const headers = { 'cache-control': 'no-store' }
  return { status, headers, body: envelope(code, message, {}) }
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
function rejectedRequest(thrown: unknown): Failure | undefined {
  if (!(thrown instanceof Error) || thrown instanceof ResolveError) return undefined
  if (!('code' in thrown) || !('statusCode' in thrown)) return undefined
  const { code, statusCode, message } = thrown
  if (typeof code !== 'string' || !code.startsWith('FST_')) return undefined
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  return requestFailure('REQUEST_INVALID', MESSAGES[code] ?? message, statusCode)
}

function retryAfter(error: ResolveError): Record<string, string> {
  const fallback = error.code === 'TOOMANYREQUESTS' ? DEFAULT_WAIT_MS : undefined
  const ms = error.retryAfterMs ?? fallback
  return ms === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))) }
}
