import { ResolveError } from '../errors.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status)
}

/**
 * Where a redirect leads.
 *
 * @throws ResolveError UNAVAILABLE without a usable Location, DENIED when it leads from https to http
 */
export function nextHop(location: string | undefined, from: URL): URL {
  if (location === undefined || !URL.canParse(location, from.href)) {
    throw refusal('UNAVAILABLE', `${from.host} redirects without saying where to`)
  }
  const url = new URL(location, from)
  const downgrade = from.protocol === 'https:' && url.protocol === 'http:'
  if (downgrade || !/^https?:$/.test(url.protocol)) {
    throw refusal('DENIED', `${from.host} redirects to ${url.protocol}//${url.host}, without TLS`)
  }
  url.username = ''
  url.password = ''
  return url
}

function refusal(code: 'DENIED' | 'UNAVAILABLE', message: string): ResolveError {
  return new ResolveError(code, message, { step: 'manifest' })
}
