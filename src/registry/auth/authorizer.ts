import { LRUCache } from 'lru-cache'
import { ResolveError } from '../../errors.ts'
import { type Endpoint, endpointKey, endpointUrl } from '../endpoint.ts'
import type { RequestContext } from '../image.ts'
import type { RegistryResponse } from '../response.ts'
import {
  type AddressPolicy,
  foreignRealmPolicyFor,
  realmPolicyFor,
} from '../transport/address-policy.ts'
import { type Challenge, mergedScope, parseChallenges, pickChallenge } from './challenge.ts'
import { basicAuthorization, type TokenCache, type TokenRequest } from './token.ts'

export interface Access extends RequestContext {
  /** Of the token; undefined: none in particular. */
  readonly scope: string | undefined
  /** Set for a host to which a registry redirects: the policy of the connection to it. */
  readonly foreign?: AddressPolicy
}

const MAX_REGISTRIES = 1_000

/** Makes the Authorization header that a registry wants, and remembers the challenge. */
export class Authorizer {
  readonly #tokens: TokenCache
  readonly #realms: ReadonlySet<string>
  readonly #challenges = new LRUCache<string, Challenge>({ max: MAX_REGISTRIES })

  /** @param realms token services that may be at any address, as `realmPolicyFor` takes them */
  constructor(tokens: TokenCache, realms: readonly string[]) {
    this.#tokens = tokens
    this.#realms = new Set(realms)
  }

  /** The header by the last challenge; undefined: there was none, or there are no credentials for it. */
  async header(access: Access): Promise<string | undefined> {
    if (access.credentials?.kind === 'registryToken') return `Bearer ${access.credentials.token}`
    const registry = endpointKey(access.endpoint)
    const challenge = this.#challenges.get(registry)
    if (challenge === undefined) return undefined
    try {
      return await this.#headerFor(challenge, access)
    } catch (error) {
      // The token service may have moved; the next challenge names the new one.
      this.#challenges.delete(registry)
      throw error
    }
  }

  /**
   * The header that meets a challenge.
   *
   * @param refused the header that was sent and refused
   * @returns undefined when there is nothing else to try
   */
  async answer(
    access: Access,
    challenge: Challenge,
    refused: string | undefined,
  ): Promise<string | undefined> {
    if (access.credentials?.kind === 'registryToken') return undefined
    if (challenge.scheme === 'bearer' && refused?.startsWith('Bearer ')) {
      this.#tokens.drop(this.#tokenRequest(challenge, access), refused.slice('Bearer '.length))
    }
    const header = await this.#headerFor(challenge, access)
    // A storage service may challenge for one URL and not for the next.
    if (access.foreign === undefined) {
      this.#challenges.set(endpointKey(access.endpoint), challenge)
    }
    return header === refused ? undefined : header
  }

  async #headerFor(challenge: Challenge, access: Access): Promise<string | undefined> {
    if (challenge.scheme === 'basic') return basicAuthorization(access.credentials)
    const token = await this.#tokens.token(this.#tokenRequest(challenge, access), access.signal)
    return `Bearer ${token}`
  }

  /** @throws ResolveError DENIED for a realm that would carry credentials in the clear, UNAVAILABLE for none */
  #tokenRequest(challenge: Challenge, access: Access): TokenRequest {
    const { endpoint, configured, credentials, foreign, observe, proof } = access
    const text = challenge.params.get('realm') ?? ''
    if (!URL.canParse(text)) {
      throw refusal('UNAVAILABLE', `${endpoint.host} names no token service in its challenge`)
    }
    const realm = secured(new URL(text), endpoint)
    realm.username = ''
    realm.password = ''
    if (realm.protocol !== 'https:' && realm.protocol !== `${endpoint.scheme}:`) {
      throw refusal(
        'DENIED',
        `${endpoint.host} wants its tokens fetched from ${realm.protocol}//${realm.host}, without TLS: have its realm name an https URL`,
      )
    }
    return {
      endpoint,
      realm,
      service: challenge.params.get('service'),
      scope: scopeFor(challenge, access),
      credentials,
      reach:
        foreign === undefined
          ? realmPolicyFor(realm, endpoint, configured, this.#realms)
          : foreignRealmPolicyFor(realm, endpoint, foreign),
      proof,
      observe,
    }
  }
}

/**
 * Registries behind a proxy that terminates TLS often name an http realm (goharbor/harbor#3114). Whatever port
 * it has, the registry answers at the port that it is asked at.
 */
function secured(realm: URL, endpoint: Endpoint): URL {
  const own = new URL(endpointUrl(endpoint))
  const isMeant = own.protocol === 'https:' && realm.protocol === 'http:'
  if (!isMeant || own.hostname !== realm.hostname) return realm
  return new URL(`${own.origin}${realm.pathname}${realm.search}`)
}

/** The challenge of a response; undefined: it has none, or none of a known scheme. */
export function challengeOf({ status, headers }: RegistryResponse): Challenge | undefined {
  const header = headers['www-authenticate']
  if (header === undefined || (status !== 401 && status !== 403)) return undefined
  const challenge = pickChallenge(parseChallenges(header))
  // A 403 is final, but for a token that is good and not enough (RFC 6750, section 3.1).
  return status === 401 || (challenge !== undefined && wantsMore(challenge)) ? challenge : undefined
}

export function wantsMore({ params }: Challenge): boolean {
  return params.get('error') === 'insufficient_scope'
}

/** The scope of a token: our own, and what the challenge adds to it. */
export function scopeFor({ params }: Challenge, { scope }: Access): string | undefined {
  return scope === undefined ? undefined : mergedScope(scope, params.get('scope'))
}

function refusal(code: 'DENIED' | 'UNAVAILABLE', message: string): ResolveError {
  return new ResolveError(code, message, { step: 'token' })
}
