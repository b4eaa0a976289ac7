import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { type Credentials, TOKEN_USERNAME } from '../registry/credentials.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import { isObject, type JsonObject, parseJsonObject, textOf } from './json.ts'

/** What Docker's config.json, podman's auth.json, an image pull secret or a `.dockercfg` says. */
export interface DockerAuths {
  /** As written there; without the entries that hold no secret. */
  readonly auths: readonly (readonly [key: string, credentials: Credentials])[]
  /** Name of the helper by canonical domain. */
  readonly credHelpers: ReadonlyMap<string, string>
  readonly credsStore: string | undefined
}

/**
 * Parses one of these files. The legacy `.dockercfg` form has the entries at the top.
 *
 * @param note hears of entries that are left out
 * @throws ResolveError CONFIG_INVALID, repeating nothing
 */
export function parseDockerAuths(text: string, note: (reason: string) => void): DockerAuths {
  const root = parseJsonObject(text)
  const entries = isObject(root['auths']) ? root['auths'] : legacyEntries(root)
  const auths = Object.entries(entries).flatMap(([key, entry]) => {
    try {
      const credentials = isObject(entry) ? entryCredentials(entry) : undefined
      return credentials === undefined ? [] : [[key, credentials] as const]
    } catch (thrown) {
      // Some keys are URLs with a password in them.
      if (!(thrown instanceof ResolveError)) throw thrown
      note(`${key.includes('@') ? 'an entry' : `the entry ${quote(key)}`} ${thrown.message}`)
      return []
    }
  })
  const helpers = isObject(root['credHelpers']) ? Object.entries(root['credHelpers']) : []
  return {
    auths,
    credHelpers: new Map(
      helpers.flatMap(([key, name]) =>
        typeof name === 'string' ? [[canonicalDomain(dockerHost(key)), name] as const] : [],
      ),
    ),
    credsStore: textOf(root['credsStore']),
  }
}

/** The host of a key as `docker login` writes it, which may have a scheme and an API version. */
export function dockerHost(key: string): string {
  return key.replace(/^https?:\/\//i, '').replace(/\/.*$/, '')
}

/**
 * What one entry holds: a token for the token service, `auth`, user and password, a bearer token. A
 * user and password beside `auth` are not looked at, as Docker does.
 *
 * @throws ResolveError CONFIG_INVALID, repeating nothing
 */
function entryCredentials(entry: JsonObject): Credentials | undefined {
  const identityToken = textOf(entry['identitytoken'])
  if (identityToken !== undefined) return { kind: 'identityToken', token: identityToken }
  const auth = textOf(entry['auth'])
  if (auth !== undefined) return decodeAuth(auth)
  const username = textOf(entry['username'])
  if (username !== undefined) return userPassword(username, textOf(entry['password']) ?? '')
  const registryToken = textOf(entry['registrytoken'])
  return registryToken === undefined ? undefined : { kind: 'registryToken', token: registryToken }
}

/** Docker's word for "the password is an identity token" counts wherever a user is named. */
export function userPassword(username: string, password: string): Credentials {
  return username === TOKEN_USERNAME
    ? { kind: 'identityToken', token: password }
    : { kind: 'basic', username, password }
}

function decodeAuth(auth: string): Credentials {
  // Some tools pad what they encode with NUL; Docker cuts it off too.
  const decoded = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  if (colon < 1) {
    throw new ResolveError('CONFIG_INVALID', 'has an `auth` that is not base64 of user:password')
  }
  return userPassword(decoded.slice(0, colon), decoded.slice(colon + 1))
}

function legacyEntries(root: JsonObject): JsonObject {
  const entries = Object.entries(root).filter(
    ([, value]) => isObject(value) && ('auth' in value || 'username' in value),
  )
  return Object.fromEntries(entries)
}
