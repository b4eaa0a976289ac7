import type { IncomingHttpHeaders } from 'node:http'
import { DEFAULT_WAIT_MS } from '../errors.ts'
import { rateLimitOf } from './rate-limit.ts'

/** A window that slides gives some back long before it is over; ten seconds are no use there. */
const USED_UP_MS = 900_000
const MAX_MS = 3_600_000
/** A number of seconds from here on (the year 2001) is a time of day, not a wait. */
const EPOCH_SECONDS = 1e9

const SECONDS = /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)$/
/** As Go prints a duration; GHCR passes one on. Both letters for micro are in use. */
const DURATION = /^(?:\d+(?:\.\d+)?(?:h|ms|m|s|[uµμ]s|ns))+$/
const PARTS = /(\d+(?:\.\d+)?)(h|ms|m|s|[uµμ]s|ns)/g
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }
/** The three forms of HTTP dates (RFC 9110, section 5.6.7) begin with the day of the week. */
const DATE = /^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? |\d{4}-\d{2}-\d{2}T)/
const ZONE = /(?:GMT|UTC|Z|[+-]\d{2}:?\d{2})$/
/** GHCR: `retry-after: 880.092µs, allowed: 44000/minute` (dependabot/cli#380). */
const TOLD = /\bretry-after:\s*([^\s,;]+)/i

/**
 * How long a registry or token service that answered 429 wants to be left alone, in milliseconds, 0 to
 * an hour: `Retry-After` as seconds, with a fraction too, as a date (RFC 9110, section 10.2.3) or
 * as a duration; Docker Hub's `X-Retry-After` as seconds since the epoch; the same in the message of
 * the body. When nothing is said 10 s, or 15 minutes where its rate limit is used up.
 *
 * @param now milliseconds since the epoch
 * @param told the message of the answer's body, '' for none
 */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number, told = ''): number {
  const { 'retry-after': header = '', 'x-retry-after': hub } = headers
  const asked =
    waitMs(header, now) ??
    (typeof hub === 'string' ? waitMs(hub, now) : undefined) ??
    waitMs(TOLD.exec(told)?.[1] ?? '', now)
  const used = rateLimitOf(headers)?.remaining === 0 ? USED_UP_MS : DEFAULT_WAIT_MS
  return Math.min(Math.max(asked ?? used, 0), MAX_MS)
}

/** undefined: it says nothing that could be understood. */
function waitMs(value: string, now: number): number | undefined {
  const text = value.trim()
  if (SECONDS.test(text)) {
    const seconds = Number(text)
    const ms = seconds * 1_000
    return seconds >= EPOCH_SECONDS ? ms - now : ms
  }
  if (DURATION.test(text)) return durationMs(text)
  if (!DATE.test(text)) return undefined
  // The oldest form names no zone, and would be read in ours.
  const ms = Date.parse(ZONE.test(text) ? text : `${text} GMT`) - now
  return Number.isNaN(ms) ? undefined : ms
}

function durationMs(text: string): number {
  return [...text.matchAll(PARTS)]
    .map(([, count, unit = '']) => Number(count) * (UNIT_MS[unit] ?? (unit === 'ns' ? 1e-6 : 1e-3)))
    .reduce((sum, ms) => sum + ms, 0)
}
