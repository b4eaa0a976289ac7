import type { IncomingHttpHeaders } from 'node:http'

/**
 * Whether a browser says that it asks for a page of another origin, which may be one of a stranger or
 * the next service on this machine. Such a page could not read the answer, but would learn from how
 * long it takes, and could have registries asked in our name. A person who types or follows an address
 * (`none`) is no page; nor is anything that is no browser, which says nothing of this.
 *
 * Browsers say it in `Sec-Fetch-Site` (W3C, Fetch Metadata) of every request to this machine; older
 * ones at least in `Origin` where a script asks.
 */
export function isOfForeignPage(headers: IncomingHttpHeaders): boolean {
  const { host, origin, 'sec-fetch-site': site } = headers
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return origin !== undefined && !names(origin, host)
}

function names(origin: string, host: string | undefined): boolean {
  return origin.replace(/^https?:\/\//i, '').toLowerCase() === host?.toLowerCase()
}
