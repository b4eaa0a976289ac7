import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/**
 * Two services, or two runs of one, must not give the same. No longer, so that an ID has at most twelve
 * characters for sixty million requests: what is longer V8 puts together only when Node checks the header,
 * and that takes longer than the check.
 */
const RUN = randomBytes(6).toString('base64url').slice(0, 6)
let count = 0

/** The caller's own when it is fit for a log, else a new one. */
export function requestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id']
  if (typeof given === 'string' && /^[\w.:/+=@-]{1,128}$/.test(given)) return given
  count += 1
  return `${RUN}-${count.toString(36)}`
}

/** The trace that a request belongs to (W3C Trace Context, `traceparent`), for the log. */
export function traceId(headers: IncomingHttpHeaders): string | undefined {
  const given = headers['traceparent']
  if (typeof given !== 'string') return undefined
  const [, id] = /^(?!ff)[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}(?:-|$)/.exec(given) ?? []
  return id === undefined || /^0+$/.test(id) ? undefined : id
}
