import { ResolveError } from '../errors.ts'
import { BoundedMap } from './bounded-map.ts'
import { type Challenge, parseChallenges, pickChallenge } from './challenge.ts'
import type { Credentials } from './credentials.ts'
import { type Endpoint, endpointUrl } from './endpoint.ts'
import { reachOf } from './reach.ts'
import type { TokenCache } from './token.ts'
import { basicAuthorization, type TokenRequest } from './token-exchange.ts'

/** Who wants to read what, where. */
export interface Access {
  readonly endpoint: Endpoint
  readonly configured: boolean
  readonly repository: string
  readonly credentials?: Credentials
  readonly signal: AbortSignal
}

const MAX_REGISTRIES = 1_000

/** Finds the Authorization header that a registry wants, and remembers which kind that was. */
export class Authorizer {
  readonly #tokens: TokenCache
  readonly #challenges = new BoundedMap<Challenge>(MAX_REGISTRIES)

  constructor(tokens: TokenCache) {
    this.#tokens = tokens
  }

  /** The header by what is known so far; undefined: nothing is known to be needed, or nothing is there to send. */
  async header(access: Access): Promise<string | undefined> {
    if (access.credentials?.kind === 'registryToken') return `Bearer ${access.credentials.token}`
    const registry = endpointUrl(access.endpoint)
    const challenge = this.#challenges.get(registry)
    if (challenge === undefined) return undefined
    try {
      return await this.#headerFor(challenge, access)
    } catch (error) {
      // The token service may have moved; the registry will say where to.
      this.#challenges.delete(registry)
      throw error
    }
  }

  /**
   * The header that answers a 401.
   *
   * @param refused the header that was sent and refused
   * @returns undefined when there is nothing else to try
   */
  async answer(
    access: Access,
    wwwAuthenticate: string | readonly string[],
    refused: string | undefined,
  ): Promise<string | undefined> {
    const challenge = pickChallenge(parseChallenges(wwwAuthenticate))
    if (challenge === undefined || access.credentials?.kind === 'registryToken') return undefined
    if (challenge.scheme === 'bearer' && refused?.startsWith('Bearer ')) {
      this.#tokens.drop(tokenRequest(challenge, access), refused.slice('Bearer '.length))
    }
    const header = await this.#headerFor(challenge, access)
    this.#challenges.set(endpointUrl(access.endpoint), challenge)
    return header === refused ? undefined : header
  }

  async #headerFor(challenge: Challenge, access: Access): Promise<string | undefined> {
    if (challenge.scheme === 'basic') return basicAuthorization(access.credentials)
    const token = await this.#tokens.token(tokenRequest(challenge, access), access.signal)
    return `Bearer ${token}`
  }
}

/**
 * The scope is our own, not the challenge's: GHCR puts a placeholder into its challenges
 * (`repository:user/image:pull`).
 *
 * @throws ResolveError DENIED for a realm that would carry credentials in the clear, UNAVAILABLE for none
 */
function tokenRequest({ params }: Challenge, access: Access): TokenRequest {
  const { endpoint, configured, credentials, repository } = access
  const text = params.get('realm') ?? ''
  if (!URL.canParse(text)) {
    throw refusal('UNAVAILABLE', `${endpoint.host} names no token service in its challenge`)
  }
  const realm = new URL(text)
  realm.username = ''
  realm.password = ''
  if (realm.protocol !== 'https:' && realm.protocol !== `${endpoint.scheme}:`) {
    throw refusal(
      'DENIED',
      `${endpoint.host} wants its tokens fetched from ${realm.protocol}//${realm.host}, without TLS: have its realm name an https URL`,
    )
  }
  return {
    realm,
    service: params.get('service'),
    scope: `repository:${repository}:pull`,
    credentials,
    reach: reachOf(realm, endpoint, configured),
  }
}

function refusal(code: 'DENIED' | 'UNAVAILABLE', message: string): ResolveError {
  return new ResolveError(code, message, { step: 'token' })
}
