import type { Credentials } from '../registry/credentials.ts'
import { canonicalDomain, DOCKER_HUB } from '../registry/public-registries.ts'
import type { CredentialHelpers } from './credential-helper.ts'
import { type DockerAuths, dockerHost, parseDockerAuths } from './docker-auths.ts'
import type { WarnOnce } from './warn-once.ts'
import { WatchedFile } from './watched-file.ts'

export interface DockerConfigTools {
  readonly helpers: Pick<CredentialHelpers, 'credentials'>
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
