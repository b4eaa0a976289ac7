import { abortable, withTimeout } from '../../concurrency/abortable.ts'
import { credentialsFingerprint } from '../auth-config.ts'
import { BoundedMap } from '../bounded-map.ts'
import { endpointKey } from '../endpoint.ts'
import type { Transport } from '../transport/transport.ts'
import { exchangeToken, type TokenRequest } from './token-exchange.ts'

export interface TokenCacheOptions {
  readonly transport: Transport
  /** Milliseconds. */
  readonly now: () => number
  /** Limit of one exchange, which callers share and none of them can cancel. */
  readonly exchangeTimeoutMs: number
}

interface Held {
  readonly value: string
  readonly expiresAt: number
}

const MAX_TOKENS = 1_000
/** What the token specification lets a service mean by saying nothing. */
const DEFAULT_LIFETIME_SECONDS = 60
const MAX_LIFETIME_SECONDS = 24 * 3_600
/** The part of its life in which a token is used: a request must not arrive with a dead one. */
const USED_PART = 0.9

/**
 * Bearer tokens, by service, scope and who asks. Callers that need the same one at the same time
 * share one exchange; a failure is never kept.
 */
export class TokenCache {
  readonly #options: TokenCacheOptions
  readonly #held = new BoundedMap<Held>(MAX_TOKENS)
  readonly #pending = new Map<string, Promise<string>>()

  constructor(options: TokenCacheOptions) {
    this.#options = options
  }

  /** @throws ResolveError with step `token`; the signal's reason when that ends the waiting */
  async token(request: TokenRequest, signal: AbortSignal): Promise<string> {
    const key = keyOf(request)
    const held = this.#held.get(key)
    if (held !== undefined && this.#options.now() < held.expiresAt) return held.value
    const pending = this.#pending.get(key) ?? this.#exchange(key, request)
    return abortable(pending, signal)
  }

  /** Forgets a token that the registry refused, unless a newer one has taken its place. */
  drop(request: TokenRequest, refused: string): void {
    const key = keyOf(request)
    if (this.#held.get(key)?.value === refused) this.#held.delete(key)
  }

  #exchange(key: string, request: TokenRequest): Promise<string> {
    const { transport, now, exchangeTimeoutMs } = this.#options
    // Counted from the asking and by our own clock: `issued_at` is by a clock that may be wrong.
    const askedAt = now()
    const exchange = withTimeout(
      new AbortController().signal,
      exchangeTimeoutMs,
      async (signal) => {
        const { value, lifetimeSeconds } = await exchangeToken(transport, request, signal, now)
        const seconds = Math.min(lifetimeSeconds ?? DEFAULT_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS)
        this.#held.set(key, { value, expiresAt: askedAt + seconds * 1_000 * USED_PART })
        return value
      },
    ).finally(() => this.#pending.delete(key))
    this.#pending.set(key, exchange)
    return exchange
  }
}

/** The registry belongs to it: with another one's TLS settings a token may have come from anybody. */
function keyOf({ endpoint, realm, service, scope, credentials, reach }: TokenRequest): string {
  const who = credentialsFingerprint(credentials)
  return JSON.stringify([endpointKey(endpoint), realm.href, service, scope, who, reach])
}
