import { LRUCache } from 'lru-cache'
import { abortable, withTimeout } from '../../concurrency/abortable.ts'
import { ResolveError } from '../../errors.ts'
import { fieldsOf, parseJson } from '../../json.ts'
import { type Credentials, credentialsFingerprint, TOKEN_USERNAME } from '../credentials.ts'
import { type Endpoint, endpointKey } from '../endpoint.ts'
import type { ObserveExchange } from '../image.ts'
import { isRedirect, isUpgrade, nextHop, upgraded } from '../redirect.ts'
import { type FailureContext, networkFailure, statusFailure } from '../registry-failure.ts'
import { discard, type RegistryResponse, readBody } from '../response.ts'
import type { AddressPolicy } from '../transport/address-policy.ts'
import { type Call, isOwn, type Transport } from '../transport/transport.ts'

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
  /** Weak, so that a token, which may be kept for a day, does not keep the attempt in memory. */
  readonly proof: WeakRef<object> | undefined
}

const MAX_TOKENS = 1_000
/** The default of the token specification. */
const DEFAULT_LIFETIME_SECONDS = 60
const MAX_LIFETIME_SECONDS = 24 * 3_600
/** The part of its lifetime in which a token is used, so that it has not expired when a request arrives. */
const USED_PART = 0.9

/**
 * Bearer tokens, by service, scope and credentials. Callers that need the same one at the same time share
 * one exchange. Failures are not kept.
 */
export class TokenCache {
  readonly #options: TokenCacheOptions
  readonly #held = new LRUCache<string, Held>({ max: MAX_TOKENS })
  readonly #pending = new Map<string, Promise<string>>()

  constructor(options: TokenCacheOptions) {
    this.#options = options
  }

  /** @throws ResolveError with step `token`; the signal's reason when it ends first */
  async token(request: TokenRequest, signal: AbortSignal): Promise<string> {
    const key = keyOf(request)
    const held = this.#held.get(key)
    const { proof } = request
    const counts = proof === undefined || held?.proof?.deref() === proof
    if (held !== undefined && counts && this.#options.now() < held.expiresAt) return held.value
    const shared = proof === undefined ? this.#pending.get(key) : undefined
    return abortable(shared ?? this.#exchange(key, request), signal)
  }

  /** Forgets a token that the registry refused, unless a newer one has taken its place. */
  drop(request: TokenRequest, refused: string): void {
    const key = keyOf(request)
    if (this.#held.get(key)?.value === refused) this.#held.delete(key)
  }

  #exchange(key: string, request: TokenRequest): Promise<string> {
    const { transport, now, exchangeTimeoutMs } = this.#options
    // Counted from the request, by our own clock: `issued_at` is by one that may be wrong.
    const askedAt = now()
    const exchange = withTimeout(
      new AbortController().signal,
      exchangeTimeoutMs,
      async (signal) => {
        const { value, lifetimeSeconds } = await exchangeToken(transport, request, signal, now)
        const seconds = Math.min(lifetimeSeconds ?? DEFAULT_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS)
        const expiresAt = askedAt + seconds * 1_000 * USED_PART
        const proof = request.proof && new WeakRef(request.proof)
        this.#held.set(key, { value, expiresAt, proof })
        return value
      },
    ).finally(() => {
      if (this.#pending.get(key) === exchange) this.#pending.delete(key)
    })
    this.#pending.set(key, exchange)
    return exchange
  }
}

/** Includes the registry: its TLS settings decide whether the token service's word can be trusted. */
function keyOf({ endpoint, realm, service, scope, credentials, reach }: TokenRequest): string {
  const account = credentialsFingerprint(credentials)
  return JSON.stringify([endpointKey(endpoint), realm.href, service, scope, account, reach])
}

export interface TokenRequest {
  /** The registry that names the token service in its challenge. */
  readonly endpoint: Endpoint
  readonly realm: URL
  readonly service: string | undefined
  /** `repository:library/nginx:pull`; undefined: none in particular. */
  readonly scope: string | undefined
  readonly credentials: Credentials | undefined
  readonly reach: AddressPolicy
  /** As in RequestContext. */
  readonly proof?: object | undefined
  readonly observe?: ObserveExchange | undefined
}

export interface Token {
  readonly value: string
  /** undefined: the response does not say. */
  readonly lifetimeSeconds: number | undefined
}

const CLIENT_ID = 'image-resolver'
const MAX_TOKEN_BYTES = 64 * 1024
const MAX_REDIRECTS = 3

/** How services without the POST form refuse it: GCR 404, Artifactory 401, ACR 400, others 405. */
const NO_POST_FORM: ReadonlySet<number> = new Set([400, 401, 404, 405])

/**
 * Asks a token service once: GET with Basic, or the OAuth2 POST form for an identity token, each
 * falling back to the other where a service does not know it (distribution docs, "Token
 * Authentication"). A redirect is followed, with all that was sent, where it stays with that service.
 *
 * @throws ResolveError with step `token`
 */
export async function exchangeToken(
  transport: Transport,
  request: TokenRequest,
  signal: AbortSignal,
  now: () => number,
): Promise<Token> {
  const failure: FailureContext = {
    host: request.realm.host,
    subject: request.scope ?? 'a token',
    step: 'token',
  }
  try {
    const response = await ask(transport, request, signal)
    if (isRedirect(response.status)) throw await strayed(response, failure)
    if (response.status !== 200) throw await statusFailure(response, failure, now())
    return readToken(await readBody(response, MAX_TOKEN_BYTES), failure)
  } catch (error) {
    throw networkFailure(error, failure, signal)
  }
}

async function ask(
  transport: Transport,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<RegistryResponse> {
  const { realm: url, endpoint, reach, observe, credentials } = request
  const common = { url, endpoint, reach, observe, signal }
  if (credentials?.kind === 'identityToken') {
    const grant = { grant_type: 'refresh_token', refresh_token: credentials.token }
    const response = await send(transport, { ...common, ...postForm(request, grant) })
    if (!NO_POST_FORM.has(response.status)) return response
    await discard(response)
  }
  const response = await send(transport, { ...common, ...getForm(request) })
  if (credentials?.kind !== 'basic' || response.status !== 405) return response
  await discard(response)
  const { username, password } = credentials
  const grant = { grant_type: 'password', username, password }
  return send(transport, { ...common, ...postForm(request, grant) })
}

/** Follows redirects within the origin. @returns any other redirect as it is: the credentials are for this service alone */
async function send(transport: Transport, call: Call): Promise<RegistryResponse> {
  let { endpoint, url } = call
  for (let redirects = 0; ; redirects += 1) {
    const response = await transport.send({ ...call, endpoint, url })
    const { location } = response.headers
    const isLast = location === undefined || redirects === MAX_REDIRECTS
    if (!isRedirect(response.status) || isLast) return response
    const next = nextHop(location, url, 'token')
    if (isUpgrade(url, next)) {
      if (isOwn(url, endpoint)) endpoint = upgraded(endpoint, next)
    } else if (next.origin !== url.origin) return response
    await discard(response)
    url = next
  }
}

async function strayed(
  response: RegistryResponse,
  { host }: FailureContext,
): Promise<ResolveError> {
  await discard(response)
  return new ResolveError(
    'UNAVAILABLE',
    `${host} (token service) redirects (${response.status}) to another host, or nowhere: a token is asked for only where the registry's challenge says, so have that name the right address`,
    { step: 'token', status: response.status },
  )
}

function getForm({ realm, service, scope, credentials }: TokenRequest) {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  if (scope !== undefined) url.searchParams.set('scope', scope)
  const authorization = basicAuthorization(credentials)
  const headers = {
    accept: 'application/json',
    ...(authorization === undefined ? {} : { authorization }),
  }
  return { url, method: 'GET', headers } satisfies Partial<Call>
}

function postForm({ service, scope }: TokenRequest, grant: Readonly<Record<string, string>>) {
  const form = new URLSearchParams({
    ...grant,
    client_id: CLIENT_ID,
    ...(scope === undefined ? {} : { scope }),
    ...(service === undefined ? {} : { service }),
  })
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  }
  return { method: 'POST', headers, body: form.toString() } satisfies Partial<Call>
}

/** The Authorization header for credentials that can be sent as user and password; undefined for others. */
export function basicAuthorization(credentials: Credentials | undefined): string | undefined {
  if (credentials === undefined || credentials.kind === 'registryToken') return undefined
  const pair =
    credentials.kind === 'basic'
      ? `${credentials.username}:${credentials.password}`
      : `${TOKEN_USERNAME}:${credentials.token}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

function readToken(body: Buffer | undefined, failure: FailureContext): Token {
  const answer = fieldsOf(parseJson(body?.toString() ?? ''))
  const value = [answer['token'], answer['access_token']].find(isHeaderValue)
  if (value === undefined) {
    throw new ResolveError('UNAVAILABLE', `${failure.host} (token service) gave no token`, {
      step: 'token',
      status: 200,
    })
  }
  const lifetime = answer['expires_in']
  return { value, lifetimeSeconds: typeof lifetime === 'number' ? lifetime : undefined }
}

function isHeaderValue(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}
