import type { IncomingHttpHeaders } from 'node:http'
import { rateLimitOf } from './rate-limit.ts'

const DEFAULT_MS = 10_000
/** A window that slides gives some back long before it is over; ten seconds are no use there. */
const USED_UP_MS = 900_000
const MAX_MS = 3_600_000

/**
 * How long a registry that answered 429 wants to be left alone: Retry-After as seconds or as a
 * date (RFC 9110, section 10.2.3), Docker Hub's X-Retry-After as seconds since the epoch. An hour at
 * most; when it does not say 10 s, or 15 minutes where its rate limit is used up.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number): number {
  const value = headers['retry-after']?.trim() ?? ''
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now
  const asked = Number.isNaN(ms) ? hubRetryMs(headers, now) : ms
  const used = rateLimitOf(headers)?.remaining === 0 ? USED_UP_MS : DEFAULT_MS
  return Math.min(Math.max(asked ?? used, 0), MAX_MS)
}

function hubRetryMs(headers: IncomingHttpHeaders, now: number): number | undefined {
  const value = headers['x-retry-after']
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) * 1_000 - now : undefined
}
