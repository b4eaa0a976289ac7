import { ResolveError } from '../errors.ts'
import { type Access, Authorizer, challengeOf, scopeFor, wantsMore } from './auth/authorizer.ts'
import { type Challenge, pullScope } from './auth/challenge.ts'
import { TokenCache } from './auth/token.ts'
import { type Endpoint, endpointUrl, foreignEndpoint } from './endpoint.ts'
import type { RequestContext } from './image.ts'
import { isPublicRegistry } from './public-registries.ts'
import { isRedirect, isUpgrade, nextHop, upgraded } from './redirect.ts'
import { type FailureContext, networkFailure, statusFailure } from './registry-failure.ts'
import { discard, type RegistryResponse } from './response.ts'
import { policyFor } from './transport/address-policy.ts'
import { isOwn, type Transport } from './transport/transport.ts'

export interface SessionOptions {
  readonly transport: Transport
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Limit of one token exchange. */
  readonly exchangeTimeoutMs: number
  /** Token services that may be at any address: `host` or `host:port`. */
  readonly realms: readonly string[]
}

export interface SessionRequest {
  readonly context: RequestContext
  readonly method: 'GET' | 'HEAD'
  /** Below the root of the API, with its query: `library/nginx/manifests/1`. */
  readonly path: string
  /** For error texts: `library/nginx:1`. */
  readonly subject: string
  readonly headers: Readonly<Record<string, string>>
  /** Of the token, should the registry want one. */
  readonly scope: string | undefined
  /** As in Call. */
  readonly large?: boolean
  /** false: a challenge is an answer like any other. */
  readonly authorize?: boolean
  /** Which statuses are read; any other one is an error. Default: 200. */
  readonly accepts?: (status: number) => boolean
}

const MAX_REDIRECTS = 5
/** The first challenge, and one more for a scope that turned out to be too small. */
const MAX_CHALLENGES = 2
const REPOSITORY_PATH = /^(?<repository>.+)\/(?:manifests|blobs|tags|referrers)\/[^/]+$/

/** Sends requests to registries: answers challenges and follows redirects, within the address policy. */
export class RegistrySession {
  readonly #transport: Transport
  readonly #authorizer: Authorizer
  readonly #now: () => number

  constructor(options: SessionOptions) {
    this.#now = options.now
    this.#transport = options.transport
    this.#authorizer = new Authorizer(new TokenCache(options), options.realms)
  }

  /**
   * Sends a request and reads its response.
   *
   * @param read has to read or discard the body
   * @throws ResolveError, whatever was thrown
   */
  async request<T>(
    request: SessionRequest,
    read: (response: RegistryResponse) => Promise<T>,
  ): Promise<T> {
    const { accepts = isOk, context, subject } = request
    const failure: FailureContext = { host: context.endpoint.host, subject, step: 'manifest' }
    try {
      const response = await this.#follow(request)
      if (!accepts(response.status)) throw await statusFailure(response, failure, this.#now())
      return await read(response)
    } catch (error) {
      throw networkFailure(error, failure, context.signal)
    }
  }

  /** @returns the response that is no redirect, and no challenge that can be met */
  async #follow(request: SessionRequest): Promise<RegistryResponse> {
    let { endpoint } = request.context
    let url = apiUrl(endpoint, request.path)
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const context = { ...request.context, endpoint }
      const response = await this.#authorized(url, { ...request, context })
      if (!isRedirect(response.status)) return response
      await discard(response)
      const next = nextHop(response.headers.location, url)
      if (isOwn(url, endpoint) && isUpgrade(url, next)) endpoint = upgraded(endpoint, next)
      url = next
    }
    throw new ResolveError(
      'UNAVAILABLE',
      `${endpoint.host} redirects in a circle: more than ${MAX_REDIRECTS} times`,
      { step: 'manifest' },
    )
  }

  async #authorized(
    url: URL,
    { context, method, headers, ...request }: SessionRequest,
  ): Promise<RegistryResponse> {
    const { endpoint, configured, signal, observe } = context
    const reach = policyFor(url, endpoint, configured)
    const send = (authorization?: string) => {
      const all = { ...headers, ...(authorization !== undefined && { authorization }) }
      // Which requests belong together, and when, is nothing that a registry of others has to know.
      const propagate = configured && isOwn(url, endpoint) && !isPublicRegistry(endpoint.host)
      const how = { method, headers: all, endpoint, reach, large: request.large, propagate }
      return this.#transport.send({ url, ...how, signal, observe })
    }
    if (request.authorize === false) return send()
    // Credentials are for the registry alone. Of another host only what is public is fetched, with an anonymous token where one is wanted.
    const isForeign = !isOwn(url, endpoint)
    const foreign = isForeign ? foreignEndpoint(url, endpoint) : endpoint
    const access: Access = isForeign
      ? {
          ...context,
          credentials: undefined,
          endpoint: foreign,
          scope: scopeAt(url, foreign),
          foreign: reach,
        }
      : { ...context, scope: scopeAt(url, endpoint) ?? request.scope }
    let header = isForeign ? undefined : await this.#authorizer.header(access)
    let response = await send(header)
    let answered: Challenge | undefined
    for (let challenges = isForeign ? 1 : MAX_CHALLENGES; challenges > 0; challenges -= 1) {
      const challenge = challengeOf(response)
      if (challenge === undefined || !isNews(challenge, answered, access)) return response
      if (isForeign && challenge.scheme !== 'bearer') return response
      // Reported now, the exchange stands before those that the challenge leads to.
      response.ended()
      const answer = await this.#answer(access, challenge, header, response)
      if (answer === undefined) return response
      header = answer
      answered = challenge
      response = await send(header)
    }
    return response
  }

  /** Discards the response, unless the challenge cannot be met: then its body may hold the reason. */
  async #answer(
    access: Access,
    challenge: Challenge,
    refused: string | undefined,
    response: RegistryResponse,
  ): Promise<string | undefined> {
    let answer: string | undefined
    let failed = true
    try {
      answer = await this.#authorizer.answer(access, challenge, refused)
      failed = false
    } finally {
      if (failed || answer !== undefined) await discard(response)
    }
    return answer
  }
}

function isOk(status: number): boolean {
  return status === 200
}

/** After one answer only a larger scope is worth another. */
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
