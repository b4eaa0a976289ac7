import { ResolveError } from '../../errors.ts'
import { TOKEN_USERNAME } from '../auth-config.ts'
import type { Credentials } from '../credentials.ts'
import type { Endpoint } from '../endpoint.ts'
import { networkFailure, type Question, statusFailure } from '../failure.ts'
import type { Exchange } from '../image.ts'
import { isRedirect, isUpgrade, nextHop, upgraded } from '../redirect.ts'
import { discard, type RegistryResponse, readBody } from '../response.ts'
import type { AddressPolicy } from '../transport/address-policy.ts'
import { type Call, isOwn, type Transport } from '../transport/transport.ts'

/** What a token service is asked. */
export interface TokenRequest {
  /** The registry that sends us there. */
  readonly endpoint: Endpoint
  readonly realm: URL
  readonly service: string | undefined
  /** `repository:library/nginx:pull`; undefined: nothing in particular, only who we are. */
  readonly scope: string | undefined
  readonly credentials: Credentials | undefined
  readonly reach: AddressPolicy
  readonly observe?: ((exchange: Exchange) => void) | undefined
}

export interface Token {
  readonly value: string
  /** Undefined: the service did not say. */
  readonly lifetimeSeconds: number | undefined
}

const CLIENT_ID = 'image-resolver'
const MAX_TOKEN_BYTES = 64 * 1024
const MAX_REDIRECTS = 3

/** Services without the POST form say so in four ways: GCR 404, Artifactory 401, ACR 400, others 405. */
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
  const question: Question = {
    host: request.realm.host,
    subject: request.scope ?? 'a token',
    step: 'token',
  }
  try {
    const reply = await ask(transport, request, signal)
    if (isRedirect(reply.status)) throw await strayed(reply, question)
    if (reply.status !== 200) throw await statusFailure(reply, question, now())
    return readToken(await readBody(reply, MAX_TOKEN_BYTES), question)
  } catch (error) {
    throw networkFailure(error, question, signal)
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
    const reply = await send(transport, { ...common, ...postForm(request, grant) })
    if (!NO_POST_FORM.has(reply.status)) return reply
    await discard(reply)
  }
  const reply = await send(transport, { ...common, ...getForm(request) })
  if (credentials?.kind !== 'basic' || reply.status !== 405) return reply
  await discard(reply)
  const { username, password } = credentials
  const grant = { grant_type: 'password', username, password }
  return send(transport, { ...common, ...postForm(request, grant) })
}

/** @returns a redirect that leads elsewhere as it came: what is sent to a token service is for it alone */
async function send(transport: Transport, call: Call): Promise<RegistryResponse> {
  let { endpoint, url } = call
  for (let redirects = 0; ; redirects += 1) {
    const reply = await transport.send({ ...call, endpoint, url })
    const { location } = reply.headers
    const isLast = location === undefined || redirects === MAX_REDIRECTS
    if (!isRedirect(reply.status) || isLast) return reply
    const next = nextHop(location, url, 'token')
    if (isUpgrade(url, next)) {
      if (isOwn(url, endpoint)) endpoint = upgraded(endpoint, next)
    } else if (next.origin !== url.origin) return reply
    await discard(reply)
    url = next
  }
}

async function strayed(reply: RegistryResponse, { host }: Question): Promise<ResolveError> {
  await discard(reply)
  return new ResolveError(
    'UNAVAILABLE',
    `${host} (token service) redirects (${reply.status}) to another host, or nowhere: a token is asked for only where the registry's challenge says, so have that name the right address`,
    { step: 'token', status: reply.status },
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

/** The Authorization header for what can be sent as user and password; undefined: nothing can. */
export function basicAuthorization(credentials: Credentials | undefined): string | undefined {
  if (credentials === undefined || credentials.kind === 'registryToken') return undefined
  const pair =
    credentials.kind === 'basic'
      ? `${credentials.username}:${credentials.password}`
      : `${TOKEN_USERNAME}:${credentials.token}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

function readToken(body: Buffer | undefined, question: Question): Token {
  const answer = parseObject(body)
  const value = [answer['token'], answer['access_token']].find(isHeaderValue)
  if (value === undefined) {
    throw new ResolveError('UNAVAILABLE', `${question.host} (token service) gave no token`, {
      step: 'token',
      status: 200,
    })
  }
  const lifetime = answer['expires_in']
  return { value, lifetimeSeconds: typeof lifetime === 'number' ? lifetime : undefined }
}

function parseObject(body: Buffer | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body?.toString() ?? '')
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function isHeaderValue(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}
