import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { BearerToken } from './bearer.ts'
import { type Failure, requestFailure, toFailure } from './failure.ts'
import { OwnName } from './own-name.ts'
import { RateLimit } from './rate-limit.ts'
import type { AccessOptions } from './types.ts'

/**
 * What a route lets be done: `open` tells nothing that has to be kept, as health checks, and counts
 * for no limit; `write` changes something; the others `read`.
 */
export type Access = 'open' | 'read' | 'write'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `read`. */
    access?: Access
  }
}

/** Decides who is let in, before anything of the request but its headers is looked at. */
export class Guard {
  readonly #token: BearerToken
  readonly #limit: RateLimit
  readonly #name: OwnName
  readonly #address: () => AddressInfo | string | null
  #isLocal: boolean | undefined
  #hasName: boolean | undefined

  /** @param address where the door listens; it is asked for once, at the first request */
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

  /** @returns what to answer instead; undefined: let it in */
  refusal(request: IncomingMessage, access: Access): Failure | undefined {
    if (access === 'open') return undefined
    const waitMs = this.#limit.isOn ? this.#limit.take(request.socket.remoteAddress) : 0
    if (waitMs > 0) return tooMany(waitMs)
    const isFree = access === 'read' && this.#reachedFromHereAlone()
    if (isFree && this.#isMeant(request)) return undefined
    if (!isFree && !this.#token.isConfigured) return closed()
    if (this.#token.accepts(request.headers.authorization)) return undefined
    if (isFree) return misdirected(request)
    return unauthorized(request.headers.authorization !== undefined)
  }

  /** The bound address is looked at, not the configured one: a socket may be handed down. */
  #reachedFromHereAlone(): boolean {
    if (this.#isLocal !== undefined) return this.#isLocal
    // The system is asked for it, which takes a tenth of a cached answer.
    const address = this.#address()
    // Before it listens, and when it closes; that says nothing of where it is reached.
    if (address === null) return true
    this.#isLocal = isLocal(address)
    return this.#isLocal
  }

  /** Of a unix socket no browser knows. */
  #isMeant({ rawHeaders }: IncomingMessage): boolean {
    this.#hasName ??= isNamed(this.#address())
    return !this.#hasName || this.#name.isMeant(rawHeaders)
  }
}

function isLocal(address: AddressInfo | string): boolean {
  if (typeof address === 'string') return true
  return /^(?:::ffff:)?127\.|^::1$/.test(address.address)
}

function isNamed(address: AddressInfo | string | null): boolean {
  return address !== null && typeof address !== 'string'
}

function misdirected({ headers }: IncomingMessage): Failure {
  const how = 'ask by its address, by localhost or by the host of http.listen, or send the token'
  const message = `this service is not called ${quote(headers.host ?? '')}: ${how}`
  return requestFailure('REQUEST_INVALID', message)
}

function closed(): Failure {
  const how = 'set http.token or http.tokenFile in the configuration to turn this on'
  return toFailure(
    new ResolveError('DENIED', `what changes something needs a token, and there is none: ${how}`),
  )
}

function unauthorized(given: boolean): Failure {
  const why = given ? 'this is not the token of this service' : 'a token is needed'
  const how = 'send `Authorization: Bearer …` with what http.token says'
  const failure = toFailure(new ResolveError('UNAUTHORIZED', `${why}: ${how}`))
  const challenge = { 'www-authenticate': 'Bearer realm="image-resolver"' }
  return { ...failure, headers: { ...failure.headers, ...challenge } }
}

function tooMany(waitMs: number): Failure {
  const error = new ResolveError('TOOMANYREQUESTS', 'more requests a minute than http.rateLimit', {
    retryAfterMs: waitMs,
  })
  return toFailure(error)
}
