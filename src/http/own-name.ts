import { parseListen } from '../config/addresses.ts'

/**
 * An address, or a name that always means this machine. No page of the internet is at any of them, whatever
 * its own name leads to.
 */
const HERE = /^(?:[\d.]+|\[[\da-f:.]+\]|(?:.+\.)?localhost)$/i

/**
 * Whether a request means this service by its `Host`. Where only this machine can reach it, it tells everybody
 * what it knows; a web page whose own name was made to lead to loopback (DNS rebinding) would be somebody too,
 * and the browser would hand it the answers.
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

  /** @param host the header; without it nobody's browser has asked */
  isMeant(host: string | undefined): boolean {
    if (host === undefined || host === this.#accepted) return true
    const name = host.replace(/:\d*$/, '')
    if (!HERE.test(name) && name.toLowerCase() !== this.#configured) return false
    this.#accepted = host
    return true
  }
}
