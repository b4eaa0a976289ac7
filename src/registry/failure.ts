import { type AttemptStep, type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import { oneLine } from './one-line.ts'
import { DOCKER_HUB_HOST } from './public-registries.ts'
import { type RegistryResponse, readBody } from './response.ts'
import { retryAfterMs } from './response-headers.ts'
import { AddressRefused } from './transport/address-policy.ts'

/** What was asked of whom, for error texts. */
export interface Question {
  /** `host:port`. */
  readonly host: string
  /** `repository:tag` or `repository@digest`. */
  readonly subject: string
  readonly step: AttemptStep
}

/** Wraps what went wrong before a connection stood. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure'
  /** Who was connected to in between, with a colon; '' for nobody. */
  readonly hop: string

  constructor(cause: Error, hop = '') {
    super(cause.message, { cause })
    this.hop = hop
  }
}

/** Of our own clock, with the code that the system gives its own. */
export function timedOut(message: string): Error {
  return Object.assign(new Error(message), { code: TIMED_OUT })
}

const MAX_ERROR_BYTES = 64 * 1024

/** Everything that is not listed is UNAVAILABLE: the registry is not in order. */
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

/** Token services say 400 to credentials that they cannot read. */
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

/** The error for an answer that is no success. Reads or discards its body. */
export async function statusFailure(
  reply: RegistryResponse,
  question: Question,
  now: number,
): Promise<ResolveError> {
  const { host, subject, step } = question
  const { status } = reply
  const codes = step === 'token' ? TOKEN_CODES : MANIFEST_CODES
  const code = codes.get(status) ?? 'UNAVAILABLE'
  const told = await registryMessage(reply)
  const phrase =
    hubPhrase(question, status) ?? PHRASES[code] ?? 'cannot be had: the registry is not in order'
  const where = step === 'token' ? `${host} (token service)` : host
  const message = `${where}: ${subject} ${phrase} (${status}${told === '' ? '' : `: ${told}`})`
  const wait =
    code === 'TOOMANYREQUESTS' ? { retryAfterMs: retryAfterMs(reply.headers, now, told) } : {}
  return new ResolveError(code, message, { step, status, ...wait })
}

/** Docker Hub says 401 to repositories that do not exist: who may not see one shall not learn that it is there. */
function hubPhrase({ host, step }: Question, status: number): string | undefined {
  const hub = host === DOCKER_HUB_HOST && step !== 'token' && status === 401
  return hub ? 'does not exist, or needs credentials that are accepted there' : undefined
}

/** The error for a conversation that broke off, or never began. */
export function networkFailure(
  thrown: unknown,
  question: Question,
  signal: AbortSignal,
): ResolveError {
  const { host, subject, step } = question
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

/** Where a name has several addresses, each one's failure is a member and the whole says nothing. */
function describe(cause: unknown): { readonly code: string; readonly message: string } {
  const first: unknown = cause instanceof AggregateError ? (cause.errors[0] ?? cause) : cause
  const code = first instanceof Error && 'code' in first ? String(first.code) : ''
  // The text of OpenSSL goes over lines and names places in its source.
  const message = /:SSL routines:[^:]*:([^:]+):/.exec(String(first))?.[1]
  return { code, message: oneLine(message ?? toResolveError(first).message) }
}

/** The `message` of an OCI error envelope; other bodies (HTML, text) say nothing worth repeating. */
async function registryMessage(reply: RegistryResponse): Promise<string> {
  try {
    const body = await readBody(reply, MAX_ERROR_BYTES)
    if (body === undefined) return ''
    const { errors } = JSON.parse(body.toString()) as { errors?: unknown }
    const [first] = Array.isArray(errors) ? (errors as { code?: unknown; message?: unknown }[]) : []
    return oneLine(String(first?.message || first?.code || ''))
  } catch {
    return ''
  }
}
