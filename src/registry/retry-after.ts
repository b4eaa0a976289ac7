import type { IncomingHttpHeaders } from 'node:http'

const DEFAULT_MS = 10_000
const MAX_MS = 3_600_000

/**
 * How long a registry that answered 429 wants to be left alone: Retry-After as seconds or as a
 * date (RFC 9110, section 10.2.3), 10 s when it does not say, an hour at most.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number): number {
  const value = headers['retry-after']?.trim() ?? ''
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now
  return Number.isNaN(ms) ? DEFAULT_MS : Math.min(Math.max(ms, 0), MAX_MS)
}
