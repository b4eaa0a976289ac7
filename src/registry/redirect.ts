import type { IncomingHttpHeaders } from 'node:http'
import { type AttemptStep, ResolveError } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status)
}

/**
 * The target of a redirect.
 *
 * @throws ResolveError UNAVAILABLE without a usable Location, DENIED when it leads from https to http
 */
export function nextHop(
  location: string | undefined,
  from: URL,
  step: AttemptStep = 'manifest',
): URL {
  if (location === undefined || !URL.canParse(location, from.href)) {
    throw refusal('UNAVAILABLE', `${from.host} redirects without saying where to`, step)
  }
  const url = new URL(location, from)
  const downgrade = from.protocol === 'https:' && url.protocol === 'http:'
  if (downgrade || !/^https?:$/.test(url.protocol)) {
    const where = `${url.protocol}//${url.host}`
    throw refusal('DENIED', `${from.host} redirects to ${where}, without TLS`, step)
  }
  url.username = ''
  url.password = ''
  return url
}

/**
 * Whether a redirect only leads from http to https: the same host, and the same port, or from one default port
 * to the other. Credentials and settings of the host then hold there, too.
 */
export function isUpgrade(from: URL, to: URL): boolean {
  const sameHost = from.hostname === to.hostname && from.port === to.port
  return from.protocol === 'http:' && to.protocol === 'https:' && sameHost
}

/** The endpoint after such a redirect, with all its settings. */
export function upgraded(endpoint: Endpoint, { host }: URL): Endpoint {
  return { ...endpoint, scheme: 'https', host }
}

/** What to change in the configuration, for a response that is such a redirect; undefined for any other. */
export function upgradeAdvice(
  from: URL,
  { status, headers }: { readonly status: number; readonly headers: IncomingHttpHeaders },
): string | undefined {
  const { location } = headers
  if (!isRedirect(status) || location === undefined) return undefined
  if (!URL.canParse(location, from.href)) return undefined
  const to = new URL(location, from)
  const { host } = to
  return isUpgrade(from, to)
    ? `it sends every question on to https: write https://${host} as its address`
    : undefined
}

function refusal(code: 'DENIED' | 'UNAVAILABLE', message: string, step: AttemptStep): ResolveError {
  return new ResolveError(code, message, { step })
}
