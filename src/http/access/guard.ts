import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseListen } from '../../config/values.ts'
import { ResolveError } from '../../errors.ts'
import { quote } from '../../reference/quote.ts'
import { RequestError } from '../error-response.ts'
import type { AccessOptions } from '../types.ts'
import { RateLimit } from './rate-limit.ts'
import { BearerToken } from './token.ts'

/**
 * What a route lets be done: `open` needs no token and counts for no limit; nor does `health`, which is
 * answered also where a client has no other connection left; `write` changes something; `node` tells what the
 * runtime has, the socket of which is for root alone; an `event` may also show the token as a password or by a
 * signature of its body; the others `read`.
 */
export type Access = 'health' | 'open' | 'read' | 'node' | 'write' | 'event'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `read`. A function where the query decides, as the client sent it. */
    access?: Access | ((query: Readonly<Record<string, unknown>>) => Access)
    /** How long an answer may be kept, for `Cache-Control`; `no-cache`: as long as its entity tag is the same. */
    cache?: 'no-cache' | 'no-store'
  }
}

/** Of GitHub's webhooks. */
const SIGNATURE = 'x-hub-signature-256'

/** Decides whether a request is served, by nothing but its headers. */
export class Guard {
  readonly #token: BearerToken
  readonly #limit: RateLimit
  readonly #name: OwnName
  readonly #address: () => AddressInfo | string | null
  #exposure: Exposure | undefined

  /** @param address where the server listens; it is asked for once, at the first request */
  constructor(
    options: AccessOptions,
    address: () => AddressInfo | string | null,
    now: () => number,
  ) {
    this.#token = new BearerToken(options, now)
    this.#limit = new RateLimit(options.rateLimit ?? 0, now)
    this.#name = new OwnName(options.listen)
    this.#address = address
  }

  /** @returns why it is not served; undefined: let it in */
  refusal(request: IncomingMessage, access: Access): RequestError | ResolveError | undefined {
    if (access === 'open' || access === 'health') return undefined
    const retryAfterMs = this.#limit.isOn ? this.#limit.take(request.socket.remoteAddress) : 0
    if (retryAfterMs > 0) {
      const message = 'more requests a minute than http.rateLimit'
      return new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
    }
    const isFree = this.#isFree(access)
    const mistake = isFree ? this.#mistake(request) : undefined
    if (isFree && mistake === undefined) return undefined
    if (!isFree && !this.#token.isConfigured) return closed(access)
    if (access === 'event' && this.#isEvent(request)) return undefined
    if (this.#token.accepts(request.headers.authorization)) return undefined
    return mistake ?? unauthorized(request.headers.authorization !== undefined)
  }

  /**
   * Whether a caller that was admitted may be any process of this machine: over TCP, without the token. A unix
   * socket authenticates by its file mode.
   */
  isUnauthenticated(request: IncomingMessage): boolean {
    const exposure = this.#exposedTo()
    if (exposure === 'socket' || exposure === 'network') return false
    const { authorization } = request.headers
    return authorization === undefined || !this.#token.accepts(authorization)
  }

  /** Whether the sender of an event knows the token, now that the body is there. */
  isAuthentic({ headers }: IncomingMessage, body: string): boolean {
    const isKnown = this.#token.acceptsAsPassword(headers.authorization)
    return isKnown || this.#token.signs(body, headers[SIGNATURE])
  }

  /** Before its body is there, one that has a signature is let in. */
  #isEvent({ headers }: IncomingMessage): boolean {
    return headers[SIGNATURE] !== undefined || this.#token.acceptsAsPassword(headers.authorization)
  }

  /** Whether no token is needed. The mode of a unix socket says which users may use it. */
  #isFree(access: Access): boolean {
    if (access === 'read') return this.#exposedTo() !== 'network'
    return access === 'node' && this.#exposedTo() === 'socket'
  }

  #exposedTo(): Exposure | undefined {
    // The system is asked for it, which takes a tenth of a cached answer.
    this.#exposure ??= exposureOf(this.#address())
    return this.#exposure
  }

  /** What may come from a web page; of a unix socket no browser knows. */
  #mistake({ headers }: IncomingMessage): RequestError | undefined {
    if (this.#exposedTo() !== 'loopback') return undefined
    if (!this.#name.isMeant(headers.host)) {
      const how =
        'ask by its address, by localhost or by the host of http.listen, or send the token'
      const message = `this service is not called ${quote(headers.host ?? '')}: ${how}`
      return new RequestError('REQUEST_INVALID', message)
    }
    if (!isOfForeignPage(headers)) return undefined
    const how = 'ask from its own page or without a browser, or send the token'
    const message = `pages of other origins are not answered by this service: ${how}`
    return new RequestError('REQUEST_INVALID', message)
  }
}

const BEHIND_TOKEN: Readonly<Partial<Record<Access, string>>> = {
  node: 'what images this node has is told',
  event: 'what registries notify of is taken',
}

function closed(access: Access): RequestError {
  const what = BEHIND_TOKEN[access] ?? 'what changes something is done'
  const how = 'set http.token or http.tokenFile in the configuration to turn this on'
  return new RequestError('DENIED', `${what} for the token alone, and there is none: ${how}`)
}

function unauthorized(given: boolean): RequestError {
  const why = given ? 'this is not the token of this service' : 'a token is needed'
  const how = 'send `Authorization: Bearer …` with what http.token says'
  const challenge = { 'www-authenticate': 'Bearer realm="image-resolver"' }
  return new RequestError('UNAUTHORIZED', `${why}: ${how}`, 401, challenge)
}

/**
 * Why a request may mean something else to a proxy before this service: `Host` missing or given twice, of
 * which Node takes the first (RFC 9112, 3.2: refuse with 400), a body with a transfer coding that does not tell its end,
 * which Node's parser finds only once the answer may have been given (RFC 9112, 6.3: refuse with 400), or a body
 * in a coding, which nothing here decodes (RFC 9110, 15.5.16).
 */
export function ambiguity(request: IncomingMessage): RequestError | undefined {
  const { headers, rawHeaders } = request
  const count = hosts(rawHeaders)
  if (count > 1) return new RequestError('REQUEST_INVALID', 'there are two Host headers')
  if (count === 0 && request.httpVersion === '1.1') {
    return new RequestError('REQUEST_INVALID', 'the Host header is missing')
  }
  const transfer = headers['transfer-encoding']
  if (transfer !== undefined && !/(?:^|,)\s*chunked\s*$/i.test(transfer)) {
    return new RequestError('REQUEST_INVALID', 'the last Transfer-Encoding has to be chunked')
  }
  const coding = headers['content-encoding']
  if (coding === undefined || coding === 'identity') return undefined
  const message = 'bodies are read as they are: send it without Content-Encoding'
  return new RequestError('REQUEST_INVALID', message, 415, { 'accept-encoding': 'identity' })
}

/** Names and values in turns. */
function hosts(rawHeaders: readonly string[]): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count
}

/**
 * What can connect to where a server listens: users that the mode of a unix socket lets, everything on this
 * machine (and the web pages in their browsers), other machines.
 */
export type Exposure = 'socket' | 'loopback' | 'network'

/**
 * The bound address is looked at, not the configured one: a socket may be handed down.
 *
 * @param address as a server tells it: null before it listens and when it closes
 * @returns undefined where the address says nothing
 */
export function exposureOf(address: AddressInfo | string | null): Exposure | undefined {
  if (address === null) return undefined
  if (typeof address === 'string') return 'socket'
  return /^(?:::ffff:)?127\.|^::1$/.test(address.address) ? 'loopback' : 'network'
}

/**
 * An address, or a name that always means this machine. No page of the internet is at any of them, whatever
 * its own name leads to.
 */
const HERE = /^(?:[\d.]+|\[[\da-f:.]+\]|(?:.+\.)?localhost)$/i

/**
 * Whether a request means this service by its `Host`. Where only this machine can reach it, it answers without
 * a token; a web page at a name that was made to lead to loopback (DNS rebinding) is on this machine too, and
 * the browser would hand it the answers.
 */
export class OwnName {
  readonly #configured: string | undefined
  /** Mostly one client asks again and again. */
  #accepted: string | undefined

  /** @param listen `http.listen`; its host is another name of ours */
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
function isOfForeignPage(headers: IncomingHttpHeaders): boolean {
  const { host, origin, 'sec-fetch-site': site } = headers
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return origin !== undefined && !names(origin, host)
}

function names(origin: string, host: string | undefined): boolean {
  return origin.replace(/^https?:\/\//i, '').toLowerCase() === host?.toLowerCase()
}
