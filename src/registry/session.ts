import { ResolveError } from '../errors.ts'
import {
  type Access,
  Authorizer,
  challengeOf,
  type Party,
  scopeFor,
  wantsMore,
} from './auth/authorizer.ts'
import type { Challenge } from './auth/challenge.ts'
import { pullScope } from './auth/scope.ts'
import { TokenCache } from './auth/token.ts'
import { type Endpoint, endpointUrl, foreignEndpoint } from './endpoint.ts'
import { networkFailure, type Question } from './failure.ts'
import { isRedirect, isUpgrade, nextHop, upgraded } from './redirect.ts'
import { discard, type RegistryResponse } from './response.ts'
import { policyFor } from './transport/address-policy.ts'
import { isOwn, Transport, type TransportOptions } from './transport/transport.ts'

export interface SessionOptions extends TransportOptions {
  /** Limit of one token exchange. */
  readonly exchangeTimeoutMs: number
  /** Token services that may be at any address: `host` or `host:port`. */
  readonly realms?: readonly string[]
}

/** Something to be had below the root of a registry's API. */
export interface SessionRequest {
  readonly party: Party
  readonly method: 'GET' | 'HEAD'
  /** `library/nginx/manifests/1`, with its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Of the token, should one be wanted. */
  readonly scope: string | undefined
  /** false: a challenge is an answer like any other. */
  readonly authorize?: boolean
}

const MAX_REDIRECTS = 5
/** One for who we are, one more for a scope that turned out to be too small. */
const MAX_ANSWERS = 2
const REPOSITORY_PATH = /^(?<repository>.+)\/(?:manifests|blobs|tags|referrers)\/[^/]+$/

/** Asks registries: answers challenges, follows redirects, each under its guards. */
export class RegistrySession {
  readonly #transport: Transport
  readonly #authorizer: Authorizer

  constructor(options: SessionOptions) {
    const { now, exchangeTimeoutMs, realms = [] } = options
    this.#transport = new Transport(options)
    const tokens = new TokenCache({ transport: this.#transport, now, exchangeTimeoutMs })
    this.#authorizer = new Authorizer(tokens, realms)
  }

  /**
   * Runs what may take several errands to one registry.
   *
   * @throws ResolveError, whatever was thrown
   */
  async ask<T>({ signal }: Party, question: Question, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw networkFailure(error, question, signal)
    }
  }

  /** The answer that is no redirect, and no challenge that could be met. To be called within `ask`. */
  async reply(request: SessionRequest): Promise<RegistryResponse> {
    let { endpoint } = request.party
    let url = apiUrl(endpoint, request.path)
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const reply = await this.#authorized(url, {
        ...request,
        party: { ...request.party, endpoint },
      })
      if (!isRedirect(reply.status)) return reply
      await discard(reply)
      const next = nextHop(reply.headers.location, url)
      if (isOwn(url, endpoint) && isUpgrade(url, next)) endpoint = upgraded(endpoint, next)
      url = next
    }
    throw new ResolveError(
      'UNAVAILABLE',
      `${endpoint.host} redirects in a circle: more than ${MAX_REDIRECTS} times`,
      { step: 'manifest' },
    )
  }

  retire(): Promise<void> {
    return this.#transport.retire()
  }

  /** Ends every connection. */
  close(): Promise<void> {
    return this.#transport.close()
  }

  async #authorized(
    url: URL,
    { party, method, headers, ...request }: SessionRequest,
  ): Promise<RegistryResponse> {
    const { endpoint, configured, signal, observe } = party
    const reach = policyFor(url, endpoint, configured)
    const send = (authorization?: string) => {
      const all = { ...headers, ...(authorization === undefined ? {} : { authorization }) }
      return this.#transport.send({ url, method, headers: all, endpoint, reach, signal, observe })
    }
    if (request.authorize === false) return send()
    if (!isOwn(url, endpoint)) {
      // Credentials are for the registry alone; what another host gives to everybody may be fetched.
      const foreign = foreignEndpoint(url, endpoint)
      const { credentials: _, ...anonymous } = party
      const scope = scopeAt(url, foreign)
      return this.#anonymously({ ...anonymous, endpoint: foreign, scope, foreign: reach }, send)
    }
    const access: Access = { ...party, scope: scopeAt(url, endpoint) ?? request.scope }
    let header = await this.#authorizer.header(access)
    let reply = await send(header)
    let answered: Challenge | undefined
    for (let answers = 0; answers < MAX_ANSWERS; answers += 1) {
      const challenge = challengeOf(reply)
      if (challenge === undefined || !isNews(challenge, answered, access)) return reply
      // All that counts of it has come; told of now, it stands before what is asked because of it.
      reply.ended()
      const answer = await this.#answer(access, challenge, header, reply)
      if (answer === undefined) return reply
      header = answer
      answered = challenge
      reply = await send(header)
    }
    return reply
  }

  /** With the token that everybody may have, where one is wanted. */
  async #anonymously(
    access: Access,
    send: (authorization?: string) => Promise<RegistryResponse>,
  ): Promise<RegistryResponse> {
    const reply = await send()
    const challenge = challengeOf(reply)
    if (challenge?.scheme !== 'bearer') return reply
    reply.ended()
    const answer = await this.#answer(access, challenge, undefined, reply)
    return answer === undefined ? reply : send(answer)
  }

  /** Keeps the reply if it is the last word: then its body may say why. */
  async #answer(
    access: Access,
    challenge: Challenge,
    refused: string | undefined,
    reply: RegistryResponse,
  ): Promise<string | undefined> {
    let answer: string | undefined
    let failed = true
    try {
      answer = await this.#authorizer.answer(access, challenge, refused)
      failed = false
    } finally {
      if (failed || answer !== undefined) await discard(reply)
    }
    return answer
  }
}

/** After one answer only a scope that is larger than the one before is worth another. */
function isNews(challenge: Challenge, answered: Challenge | undefined, access: Access): boolean {
  if (answered === undefined) return true
  return wantsMore(challenge) && scopeFor(challenge, access) !== scopeFor(answered, access)
}

function apiUrl(endpoint: Endpoint, path: string): URL {
  return new URL(`${endpoint.root ?? '/v2'}/${path}`, endpointUrl(endpoint))
}

/** Harbor redirects to another repository of its own, which needs a token of its own. */
function scopeAt({ pathname }: URL, { root = '/v2' }: Endpoint): string | undefined {
  if (!pathname.startsWith(`${root}/`)) return undefined
  const { repository } = REPOSITORY_PATH.exec(pathname.slice(root.length + 1))?.groups ?? {}
  return repository === undefined ? undefined : pullScope(repository)
}
