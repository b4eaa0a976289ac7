import { createHmac, randomBytes } from 'node:crypto'
import { ResolveError } from '../errors.ts'
import { sameDomain } from './public-registries.ts'

/** Credentials for one registry. Without any a request is anonymous. */
export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identityToken'; readonly token: string }
  | { readonly kind: 'registryToken'; readonly token: string }

/** CRI's AuthConfig, as kubelet and crictl fill it; '' and absent mean the same. */
export interface AuthConfig {
  readonly username?: string
  readonly password?: string
  /** base64 of `user:password`. */
  readonly auth?: string
  /** A host, or a URL of one; the credentials are for that host alone. */
  readonly serverAddress?: string
  readonly identityToken?: string
  readonly registryToken?: string
}

/** The user name by which Docker marks a password as an identity token. */
export const TOKEN_USERNAME = '<token>'

/** Fingerprints of one process cannot be compared with those of another. */
const FINGERPRINT_KEY = randomBytes(32)

/**
 * Parses `user:password`, cut at the first colon: a password may hold more of them.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text
 */
export function parseUserPassword(text: string): Credentials {
  const colon = text.indexOf(':')
  if (colon < 1) {
    throw new ResolveError(
      'CONFIG_INVALID',
      '`auth` is not user:password: write both, with a colon',
    )
  }
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/**
 * The credentials that an AuthConfig holds for a host, in containerd's order: user and password,
 * identity token, `auth`; then a registry token, which containerd ignores. undefined: none, or none
 * for this host.
 */
export function fromAuthConfig(
  auth: AuthConfig | undefined,
  host: string,
): Credentials | undefined {
  if (auth === undefined) return undefined
  if (auth.serverAddress && !sameDomain(hostOf(auth.serverAddress), host)) return undefined
  if (auth.username) return userPassword(auth.username, auth.password ?? '')
  if (auth.identityToken) return { kind: 'identityToken', token: auth.identityToken }
  const decoded = auth.auth ? decodeAuth(auth.auth) : undefined
  if (decoded !== undefined) return decoded
  return auth.registryToken ? { kind: 'registryToken', token: auth.registryToken } : undefined
}

/** A short name, the same for the same credentials, that reveals nothing of them. */
export function credentialsFingerprint(credentials: Credentials | undefined): string {
  if (credentials === undefined) return 'anonymous'
  const parts =
    credentials.kind === 'basic'
      ? [credentials.kind, credentials.username, credentials.password]
      : [credentials.kind, credentials.token]
  const hmac = createHmac('sha256', FINGERPRINT_KEY).update(JSON.stringify(parts))
  return hmac.digest('hex').slice(0, 16)
}

const issued = new WeakSet<Credentials>()

/** Notes that a program issued them (a credential helper, a provider of the kubelet): to each caller others, for a while. */
export function markIssued(credentials: Credentials): Credentials {
  issued.add(credentials)
  return credentials
}

/** Whether these very credentials were issued by a program. */
export function isIssued(credentials: Credentials): boolean {
  return issued.has(credentials)
}

/** @returns undefined for what is not base64 of `user:password` */
export function decodeAuth(auth: string): Credentials | undefined {
  // Some tools pad with NUL; Docker and containerd cut it off too.
  const decoded = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  return colon < 1 ? undefined : userPassword(decoded.slice(0, colon), decoded.slice(colon + 1))
}

/** Docker's word for "the password is an identity token" counts wherever a user is named. */
export function userPassword(username: string, password: string): Credentials {
  return username === TOKEN_USERNAME
    ? { kind: 'identityToken', token: password }
    : { kind: 'basic', username, password }
}

function hostOf(serverAddress: string): string {
  return serverAddress.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '')
}
