import {
  type AttemptStep,
  codeOf,
  type ErrorCode,
  ResolveError,
  toResolveError,
} from '../errors.ts'
import { fieldsOf, parseJson } from '../json.ts'
import { oneLine } from '../reference/quote.ts'
import { DOCKER_HUB_HOST } from './public-registries.ts'
import { type RegistryResponse, readBody, retryAfterMs } from './response.ts'
import { AddressRefused } from './transport/address-policy.ts'

/** What was asked for, and where; for error texts. */
export interface FailureContext {
  /** `host:port`. */
  readonly host: string
  /** `repository:tag` or `repository@digest`. */
  readonly subject: string
  readonly step: AttemptStep
}

/** Wraps an error from before the connection was established. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure'
  /** `the proxy HOST: ` where the connection goes through one, else ''. */
  readonly hop: string

  constructor(cause: Error, hop = '') {
    super(cause.message, { cause })
    this.hop = hop
  }
}

/** Of a connection that leads through a proxy, where there is one. What is wrapped already stays as it is. */
export function connectFailure(cause: Error, proxy: URL | undefined): ConnectFailure {
  if (cause instanceof ConnectFailure) return cause
  return new ConnectFailure(cause, proxy === undefined ? '' : `the proxy ${proxy.host}: `)
}

/** A time-out of our own, with the code of one by the system. */
export function timedOut(message: string): Error {
  return Object.assign(new Error(message), { code: TIMED_OUT })
}

const MAX_ERROR_BYTES = 64 * 1024

/** A status that is not listed is UNAVAILABLE. */
export const MANIFEST_CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [400, 'UNSUPPORTED'],
  [401, 'UNAUTHORIZED'],
  [402, 'DENIED'],
  [403, 'DENIED'],
  [404, 'MANIFEST_UNKNOWN'],
  [405, 'UNSUPPORTED'],
  [406, 'UNSUPPORTED'],
  [410, 'MANIFEST_UNKNOWN'],
  [415, 'UNSUPPORTED'],
  [429, 'TOOMANYREQUESTS'],
  [451, 'DENIED'],
])

/** Some token services answer 400 to credentials that they cannot read. */
const TOKEN_CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [400, 'UNAUTHORIZED'],
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
  [429, 'TOOMANYREQUESTS'],
])

const PHRASES: Partial<Record<ErrorCode, string>> = {
  MANIFEST_UNKNOWN: 'is not there',
  UNAUTHORIZED: 'needs credentials that are accepted there',
  DENIED: 'is not for these credentials',
  TOOMANYREQUESTS: 'has to wait: too many requests',
  UNSUPPORTED: 'cannot be asked for in this way',
}

const TIMED_OUT = 'ETIMEDOUT'

const HINTS: ReadonlyMap<string, string> = new Map([
  ['ENOTFOUND', 'no such host'],
  ['ECONNRESET', 'it broke the connection off'],
  ['EAI_AGAIN', 'the name server does not answer'],
  ['EPROTO', 'it does not speak TLS; if that is meant, write http:// before its address'],
  [
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'it does not speak TLS; if that is meant, write http:// before its address',
  ],
  ['HPE_HEADER_OVERFLOW', 'its answer has headers of more than 256 KiB'],
  [
    'HPE_UNEXPECTED_CONTENT_LENGTH',
    'its answer has Content-Length twice, which is no HTTP: have it, or the proxy before it, send one',
  ],
  [
    'HPE_INVALID_CONSTANT',
    'its answer is no HTTP/1.1; if it speaks TLS, write https:// before its address',
  ],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate authority is not trusted on this machine'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate authority is not trusted on this machine'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate authority is not trusted on this machine'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'its certificate authority is not trusted on this machine'],
])

/** The error for a response with an unexpected status. Reads or discards its body. */
export async function statusFailure(
  response: RegistryResponse,
  context: FailureContext,
  now: number,
): Promise<ResolveError> {
  const { host, subject, step } = context
  const { status } = response
  const codes = step === 'token' ? TOKEN_CODES : MANIFEST_CODES
  const code = codes.get(status) ?? 'UNAVAILABLE'
  const told = await registryMessage(response)
  const phrase =
    hubPhrase(context, status) ?? PHRASES[code] ?? 'cannot be had: the registry is not in order'
  const where = step === 'token' ? `${host} (token service)` : host
  const message = `${where}: ${subject} ${phrase} (${status}${told === '' ? '' : `: ${told}`})`
  const wait = code === 'TOOMANYREQUESTS' ? retryAfterMs(response.headers, now, told) : undefined
  return new ResolveError(code, message, { step, status, retryAfterMs: wait })
}

/** Docker Hub answers 401 for repositories that do not exist, so as not to reveal which ones do. */
function hubPhrase({ host, step }: FailureContext, status: number): string | undefined {
  const hub = host === DOCKER_HUB_HOST && step !== 'token' && status === 401
  return hub ? 'does not exist, or needs credentials that are accepted there' : undefined
}

/** The error for a request without a complete response. A ResolveError with a step is returned as it is. */
export function networkFailure(
  thrown: unknown,
  context: FailureContext,
  signal: AbortSignal,
): ResolveError {
  const { host, subject, step } = context
  const reason: unknown = signal.aborted ? signal.reason : thrown
  if (reason instanceof ResolveError) {
    if (reason.step !== undefined) return reason
    return new ResolveError(reason.code, `${host}: ${subject}: ${reason.message}`, {
      step,
      cause: reason,
    })
  }
  const connecting = reason instanceof ConnectFailure
  const cause = connecting ? reason.cause : reason
  const details = { step: connecting ? ('connect' as const) : step, cause }
  if (cause instanceof AddressRefused) return new ResolveError('DENIED', cause.message, details)
  const { code, message } = describe(cause)
  const hint = HINTS.get(code) ?? (code.startsWith('HPE_') ? 'its answer is no HTTP' : undefined)
  const hop = connecting ? reason.hop : ''
  const text = `${host}: ${hop}${hint === undefined ? '' : `${hint}: `}${message}`
  return new ResolveError(code === TIMED_OUT ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE', text, details)
}

/** For a name with several addresses Node throws an AggregateError; the first member has the code. */
function describe(cause: unknown): { readonly code: string; readonly message: string } {
  const first: unknown = cause instanceof AggregateError ? (cause.errors[0] ?? cause) : cause
  const code = codeOf(first) ?? ''
  // OpenSSL's text has several lines and names places in its source.
  const message = /:SSL routines:[^:]*:([^:]+):/.exec(String(first))?.[1]
  return { code, message: oneLine(message ?? toResolveError(first).message) }
}

/** The `message` of an OCI error body; '' for any other body (HTML, text). */
async function registryMessage(response: RegistryResponse): Promise<string> {
  const body = await readBody(response, MAX_ERROR_BYTES).catch(() => undefined)
  const { errors } = fieldsOf(parseJson(body?.toString() ?? ''))
  const { code, message } = fieldsOf(Array.isArray(errors) ? errors[0] : undefined)
  return oneLine(String(message || code || ''))
}
