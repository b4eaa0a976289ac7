import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/**
 * Two services, or two runs of one, must not give the same. No longer, so that an ID has at most twelve
 * characters for sixty million requests: what is longer V8 puts together only when Node checks the header,
 * and that takes longer than the check.
 */
const RUN = randomBytes(6).toString('base64url').slice(0, 6)
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'
let count = 0
/** All but the last digit, written once for as many requests as there are digits. */
let prefix = ''

/** The caller's own when it is fit for a log, else a new one. */
export function requestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id']
  if (typeof given === 'string' && /^[\w.:/+=@-]{1,128}$/.test(given)) return given
  const last = count % DIGITS.length
  if (last === 0) prefix = `${RUN}-${Math.floor(count / DIGITS.length).toString(36)}`
  count += 1
  return `${prefix}${DIGITS[last]}`
}

/** The trace that a request belongs to (W3C Trace Context, `traceparent`), for the log. */
export function traceId(headers: IncomingHttpHeaders): string | undefined {
  const given = headers['traceparent']
  if (typeof given !== 'string') return undefined
  const [, id] = /^(?!ff)[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}(?:-|$)/.exec(given) ?? []
  return id === undefined || /^0+$/.test(id) ? undefined : id
}
