import type { IncomingHttpHeaders } from 'node:http'
import { parseListen } from '../../config/addresses.ts'

/**
 * An address, or a name that always means this machine. No page of the internet is at any of them, whatever
 * its own name leads to.
 */
const HERE = /^(?:[\d.]+|\[[\da-f:.]+\]|(?:.+\.)?localhost)$/i

/**
 * Whether a request means this service by its `Host`. Where only this machine can reach it, it answers without
 * a token; a web page whose own name was made to lead to loopback (DNS rebinding) is on this machine too, and
 * the browser would hand it the answers.
 */
export class OwnName {
  readonly #configured: string | undefined
  /** Mostly one client asks again and again. */
  #accepted: string | undefined

  /** @param listen `http.listen`, whose host is another name of ours */
  constructor(listen: string | undefined) {
    const where = listen === undefined ? undefined : parseListen(listen)
    this.#configured = where?.kind === 'tcp' ? where.host.toLowerCase() : undefined
  }

  /** @param host the header; no browser leaves it out */
  isMeant(host: string | undefined): boolean {
    if (host === undefined || host === this.#accepted) return true
    const name = host.replace(/:\d*$/, '')
    if (!HERE.test(name) && name.toLowerCase() !== this.#configured) return false
    this.#accepted = host
    return true
  }
}

/**
 * Whether a browser says that it asks for a page of another origin, which may be a foreign site or
 * the next service on this machine. Such a page could not read the answer, but would learn from how
 * long it takes, and could have registries asked in our name. An address that is typed or followed
 * (`none`) is no page; nor is a client that is no browser, which sends no such header.
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
