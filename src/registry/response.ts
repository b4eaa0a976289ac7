import type { IncomingHttpHeaders } from 'node:http'
import { finished, type Readable } from 'node:stream'
import { DEFAULT_WAIT_MS } from '../errors.ts'
import { oneLine } from '../reference/quote.ts'
import type { RateLimit } from './image.ts'

const MAX_DISCARDED_BYTES = 64 * 1024

/** A response, whatever its status. Its connection is taken until its body is read or destroyed. */
export interface Content {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

export interface RegistryResponse extends Content {
  /** To be called at the end of the body, complete or not; the first call counts. */
  ended(): void
}

/** The whole body; undefined when it is longer than `limitBytes`, and the rest is not read. */
export async function readBody(
  response: RegistryResponse,
  limitBytes: number,
): Promise<Buffer | undefined> {
  try {
    return await read(response, limitBytes)
  } finally {
    response.ended()
  }
}

/** Frees the connection: reads a short rest, closes on a long one. */
export async function discard(response: RegistryResponse): Promise<void> {
  const { body } = response
  let size = 0
  body.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > MAX_DISCARDED_BYTES) body.destroy()
  })
  // The head has been read; an error in the rest has no effect.
  await new Promise<void>((resolve) => finished(body, () => resolve()))
  response.ended()
}

async function read(
  { body, headers }: RegistryResponse,
  limitBytes: number,
): Promise<Buffer | undefined> {
  if (Number(headers['content-length'] ?? 0) > limitBytes) {
    // Destroying an unread body emits an error event, which has no other listener.
    body.on('error', () => {}).destroy()
    return undefined
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    const bytes: Buffer = chunk
    size += bytes.length
    if (size > limitBytes) return undefined
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

/**
 * What a response says of the rate limit. Read are Docker Hub's fields
 * (`ratelimit-remaining: 98;w=21600`), the separate ones of the IETF drafts, the older drafts'
 * `RateLimit: limit=100, remaining=98` and the newer ones' `RateLimit: "default";r=98`.
 *
 * @returns undefined when there is no such field, or no number in it
 */
export function rateLimitOf(headers: IncomingHttpHeaders): RateLimit | undefined {
  const combined = textOf(headers['ratelimit'])
  const left = textOf(headers['ratelimit-remaining'] ?? headers['x-ratelimit-remaining'])
  const most = textOf(headers['ratelimit-limit'] ?? headers['x-ratelimit-limit'])
  const remaining = count(/^\s*(\d+)/, left) ?? count(/\b(?:remaining|r)\s*=\s*(\d+)/i, combined)
  if (remaining === undefined) return undefined
  const limit = count(/^\s*(\d+)/, most) ?? count(/\blimit\s*=\s*(\d+)/i, combined)
  const windowSeconds = count(/;\s*w\s*=\s*(\d+)/i, left) ?? count(/;\s*w\s*=\s*(\d+)/i, most)
  return {
    remaining,
    ...(limit === undefined ? {} : { limit }),
    ...(windowSeconds === undefined ? {} : { windowSeconds }),
  }
}

/** Proxies repeat fields; the first one is the registry's. */
function textOf(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : value?.[0]) ?? ''
}

function count(pattern: RegExp, text: string): number | undefined {
  const digits = pattern.exec(text)?.[1]
  const value = digits === undefined ? undefined : Number(digits)
  return Number.isSafeInteger(value) ? value : undefined
}

/** A sliding window gives requests back long before it is over; ten seconds would be too short. */
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
 * How long to wait after a 429 of a registry or token service, in milliseconds, 0 to an hour: `Retry-After` as
 * seconds, with a fraction too, as a date (RFC 9110, section 10.2.3) or as a duration; Docker Hub's
 * `X-Retry-After` as seconds since the epoch; the same in the message of the body. Without any of these 10 s, or
 * 15 minutes where the rate limit is used up.
 *
 * @param now milliseconds since the epoch
 * @param told the message of the body, '' for none
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

/** undefined: it is none of these forms. */
function waitMs(value: string, now: number): number | undefined {
  const text = value.trim()
  if (SECONDS.test(text)) {
    const seconds = Number(text)
    const ms = seconds * 1_000
    return seconds >= EPOCH_SECONDS ? ms - now : ms
  }
  if (DURATION.test(text)) return durationMs(text)
  if (!DATE.test(text)) return undefined
  // The oldest form names no zone; without one Date.parse takes the local one.
  const ms = Date.parse(ZONE.test(text) ? text : `${text} GMT`) - now
  return Number.isNaN(ms) ? undefined : ms
}

function durationMs(text: string): number {
  return [...text.matchAll(PARTS)]
    .map(([, count, unit = '']) => Number(count) * (UNIT_MS[unit] ?? (unit === 'ns' ? 1e-6 : 1e-3)))
    .reduce((sum, ms) => sum + ms, 0)
}

const WARNINGS = /(?:^|,)\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"/g

/**
 * The text of `Warning: 299 - "…"` (distribution-spec, "Warnings"): each one once, together one
 * line of at most 200 characters. undefined: there is none.
 */
export function warningOf(headers: IncomingHttpHeaders): string | undefined {
  const text = headers['warning']
  if (text === undefined) return undefined
  const said = [...text.matchAll(WARNINGS)].map(([, quoted = '']) =>
    quoted.replace(/\\(.)/g, '$1').trim(),
  )
  const line = oneLine([...new Set(said)].join('; '))
  return line === '' ? undefined : line
}

/** No `<` within: a header full of them would otherwise be scanned to its end from each. */
const LINKS = /<(?<target>[^<>]*)>(?<params>[^<]*)/g
const NEXT = /;\s*rel\s*=\s*"?next"?\s*(?:[;,]|$)/i
const ANYWHERE = 'http://registry.invalid/'
const MAX_QUERY_CHARACTERS = 2_000

/**
 * The query of the next page, out of `Link: </v2/…?n=…&last=…>; rel="next"` (RFC 8288; distribution-spec,
 * "Listing Tags"). Nothing else of the link is used, and the registry itself is asked again: some registries name
 * hosts that only they can reach, and Artifactory leaves out its own prefix.
 */
export function nextPage(link: string | readonly string[] | undefined): string | undefined {
  const text = typeof link === 'string' ? link : (link?.join(', ') ?? '')
  for (const { groups } of text.matchAll(LINKS)) {
    const { target = '', params = '' } = groups ?? {}
    if (!NEXT.test(params) || !URL.canParse(target, ANYWHERE)) continue
    const query = new URL(target, ANYWHERE).search.slice(1)
    return query === '' || query.length > MAX_QUERY_CHARACTERS ? undefined : query
  }
  return undefined
}
