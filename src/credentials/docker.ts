import { join, resolve } from 'node:path'
import type { Environment } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import { type Fields, isFields, parseJson } from '../json.ts'
import { quote } from '../reference/quote.ts'
import { type Credentials, decodeAuth, userPassword } from '../registry/credentials.ts'
import { canonicalDomain, DOCKER_HUB } from '../registry/public-registries.ts'
import { type WarnOnce, WatchedFile } from './watched-file.ts'

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
 * @param note called for each entry that is left out
 * @throws ResolveError CONFIG_INVALID, repeating nothing
 */
export function parseDockerAuths(text: string, note: (reason: string) => void): DockerAuths {
  const root = parseJsonObject(text)
  const entries = isFields(root['auths']) ? root['auths'] : legacyEntries(root)
  const auths = Object.entries(entries).flatMap(([key, entry]) => {
    try {
      const credentials = isFields(entry) ? entryCredentials(entry) : undefined
      return credentials === undefined ? [] : [[key, credentials] as const]
    } catch (thrown) {
      // Some keys are URLs with a password in them.
      if (!(thrown instanceof ResolveError)) throw thrown
      note(`${key.includes('@') ? 'an entry' : `the entry ${quote(key)}`} ${thrown.message}`)
      return []
    }
  })
  const helpers = isFields(root['credHelpers']) ? Object.entries(root['credHelpers']) : []
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
function entryCredentials(entry: Fields): Credentials | undefined {
  const identityToken = textOf(entry['identitytoken'])
  if (identityToken !== undefined) return { kind: 'identityToken', token: identityToken }
  const auth = textOf(entry['auth'])
  if (auth !== undefined) {
    const decoded = decodeAuth(auth)
    if (decoded !== undefined) return decoded
    throw new ResolveError('CONFIG_INVALID', 'has an `auth` that is not base64 of user:password')
  }
  const username = textOf(entry['username'])
  if (username !== undefined) return userPassword(username, textOf(entry['password']) ?? '')
  const registryToken = textOf(entry['registrytoken'])
  return registryToken === undefined ? undefined : { kind: 'registryToken', token: registryToken }
}

function legacyEntries(root: Fields): Fields {
  const entries = Object.entries(root).filter(
    ([, value]) => isFields(value) && ('auth' in value || 'username' in value),
  )
  return Object.fromEntries(entries)
}

export interface DockerConfigTools {
  /** Asks the helper of that name; as CredentialHelpers. */
  readonly helpers: {
    credentials(name: string, server: string): Promise<Credentials | undefined>
  }
  readonly now: () => number
  readonly warnOnce: WarnOnce
}

interface ScopedAuth {
  readonly domain: string
  /** '' or `team/app`. */
  readonly path: string
  readonly credentials: Credentials
}

interface DockerConfig extends Omit<DockerAuths, 'auths'> {
  /** Longest path first. */
  readonly auths: readonly ScopedAuth[]
}

/** The key under which Docker keeps what it knows of Docker Hub. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/'

export const MAX_AUTHS_BYTES = 1024 * 1024

/** One config.json of Docker's or auth.json of podman's. */
export class DockerConfigFile {
  readonly #file: WatchedFile<DockerConfig>
  readonly #helpers: DockerConfigTools['helpers']

  constructor(file: string, { helpers, now, warnOnce }: DockerConfigTools) {
    this.#file = new WatchedFile({
      file,
      limitBytes: MAX_AUTHS_BYTES,
      parse: parseDockerConfig,
      now,
      warnOnce,
    })
    this.#helpers = helpers
  }

  /**
   * In Docker's order: the host's own helper, the store for all, the file's entries. A helper that
   * has nothing or fails leaves the question to the entries.
   */
  async credentials(host: string, repository: string): Promise<Credentials | undefined> {
    const config = await this.#file.read()
    if (config === undefined) return undefined
    const domain = canonicalDomain(host)
    const helper = config.credHelpers.get(domain) ?? config.credsStore
    if (helper !== undefined) {
      const server = domain === DOCKER_HUB ? DOCKER_HUB_KEY : domain
      const found = await this.#helpers.credentials(helper, server)
      if (found !== undefined) return found
    }
    return config.auths.find((auth) => auth.domain === domain && isWithin(repository, auth.path))
      ?.credentials
  }
}

function parseDockerConfig(text: string, note: (reason: string) => void): DockerConfig {
  const { auths, credHelpers, credsStore } = parseDockerAuths(text, note)
  const scoped = auths.map(([key, credentials]) => ({
    domain: canonicalDomain(dockerHost(key)),
    path: scopeOf(key),
    // As spelt by hand before what an old client wrote.
    exact: key === dockerHost(key),
    credentials,
  }))
  scoped.sort(
    (one, other) => other.path.length - one.path.length || Number(other.exact) - Number(one.exact),
  )
  return { auths: scoped, credHelpers, credsStore }
}

/**
 * The path that a key is for (containers-auth.json(5)). Behind a scheme, and where it is just the
 * version of an API, the path is what old clients wrote and means nothing.
 */
function scopeOf(key: string): string {
  if (/^https?:\/\//i.test(key)) return ''
  const path = key.slice(dockerHost(key).length).replace(/^\/+|\/+$/g, '')
  return /^v[12]$/.test(path) ? '' : path
}

function isWithin(repository: string, path: string): boolean {
  return path === '' || repository === path || repository.startsWith(`${path}/`)
}

/**
 * Where `docker login`, `podman login` and `skopeo login` leave what a user has logged in with, in the order
 * in which it is looked for: what REGISTRY_AUTH_FILE names, Docker's file, podman's (containers-auth.json(5);
 * go-containerregistry's DefaultKeychain looks in the same places).
 *
 * @param home the user's home folder
 * @returns absolute paths; none of them need be there
 */
export function loginFiles(environment: Environment, home: string): readonly string[] {
  const {
    DOCKER_CONFIG: docker,
    REGISTRY_AUTH_FILE: explicit,
    XDG_CONFIG_HOME: settings,
    XDG_RUNTIME_DIR: runtime,
  } = environment
  return [
    ...(explicit ? [explicit] : []),
    join(docker || join(home, '.docker'), 'config.json'),
    ...(runtime ? [join(runtime, 'containers', 'auth.json')] : []),
    join(settings || join(home, '.config'), 'containers', 'auth.json'),
  ].map((file) => resolve(file))
}

/**
 * Parses the JSON object that a file or a program holds.
 *
 * @throws ResolveError CONFIG_INVALID that repeats nothing of the text, as JSON.parse does
 */
export function parseJsonObject(text: string): Fields {
  const value = parseJson(text.replace(/^\uFEFF/, ''))
  if (!isFields(value)) throw new ResolveError('CONFIG_INVALID', 'not a JSON object')
  return value
}

/** undefined for anything but text that is not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
