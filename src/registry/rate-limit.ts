import type { IncomingHttpHeaders } from 'node:http'
import type { RateLimit } from './image.ts'

/**
 * What an answer says of the requests that are left. Read are Docker Hub's fields
 * (`ratelimit-remaining: 98;w=21600`), the separate ones of the IETF drafts, the older drafts'
 * `RateLimit: limit=100, remaining=98` and the newer ones' `RateLimit: "default";r=98`.
 *
 * @returns undefined when it says nothing, or nothing that is a number
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

/** Proxies repeat fields; the first is the registry's own. */
function textOf(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : value?.[0]) ?? ''
}

function count(pattern: RegExp, text: string): number | undefined {
  const digits = pattern.exec(text)?.[1]
  const value = digits === undefined ? undefined : Number(digits)
  return Number.isSafeInteger(value) ? value : undefined
}
