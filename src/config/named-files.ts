import { stat } from 'node:fs/promises'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Config } from './config.ts'

/** A file or folder that a configuration names, and that is read when it is needed. */
interface NamedFile {
  /** `http.tokenFile`, or `ca of harbor.corp`. */
  readonly field: string
  readonly path: string
  readonly kind: 'file' | 'folder'
  /** Other users of the machine should not be able to read it. */
  readonly secret: boolean
}

/** What there is at a path. */
interface Found {
  readonly kind: 'file' | 'folder' | 'other'
  /** The permission bits, as in chmod. */
  readonly mode: number
}

const READABLE_BY_ALL = 0o004

/**
 * What is odd about the files that a configuration names: not there, or a secret that every user can
 * read. None of it is a mistake, since such files may come later, and are read when they are needed.
 *
 * @returns one line each
 */
export async function namedFileWarnings(
  config: Config,
  look: (path: string) => Promise<Found | undefined> = lookAt,
): Promise<readonly string[]> {
  const warnings = await Promise.all(
    namedFiles(config).map(async (named) => warningOf(named, await look(named.path))),
  )
  return warnings.flat()
}

/** What the runtime's own files do not say yet; loaded only where a registry speaks plain http. */
export async function runtimeFileWarnings(config: Config): Promise<readonly string[]> {
  if (config.registries.every(({ endpoint }) => endpoint.scheme === 'https')) return []
  const { runtimeWarnings } = await import('./runtime-files.ts')
  return runtimeWarnings(config)
}

function warningOf({ field, path, kind, secret }: NamedFile, found: Found | undefined): string[] {
  if (found === undefined) return [`${field}: ${path} is not there, or not for us to see`]
  if (found.kind !== kind) return [`${field}: ${path} is no ${kind}`]
  if (secret && (found.mode & READABLE_BY_ALL) !== 0) {
    return [`${field}: every user of this machine can read ${path}: chmod o-r would keep it secret`]
  }
  return []
}

function namedFiles(config: Config): readonly NamedFile[] {
  const { configMap, keychain, http } = config
  const providers = keychain.credentialProviders
  return [
    ...secretsHere(config),
    ...config.registries.flatMap(filesOf),
    ...keychain.dockerConfigs.flatMap((path) => secret('keychain.dockerConfigs', path)),
    ...keychain.pullSecrets.flatMap((path) => secret('keychain.pullSecrets', path)),
    ...open('keychain.credentialProviders.config', providers?.config),
    ...open('keychain.credentialProviders.binDir', providers?.binDir, 'folder'),
    ...secret('configMap.kubeconfig', configMap?.kubeconfig),
    ...secret('http.tokenFile', http.tokenFile),
    ...open('http.tls.cert', http.tls?.certFile),
    ...secret('http.tls.key', http.tls?.keyFile),
  ]
}

/** The files that were read already, where they hold secrets themselves. */
function secretsHere({ file, portoshim, registries, proxy, http }: Config): readonly NamedFile[] {
  const hasSecrets = (source: RegistryEntry['source']): boolean =>
    registries.some((entry) => entry.credentials !== undefined && entry.source === source)
  const proxies = `${proxy.http} ${proxy.https}`
  const isSecret = hasSecrets(undefined) || http.token !== undefined || proxies.includes('@')
  return [
    ...(isSecret ? secret('the configuration', file) : []),
    ...(hasSecrets('portoshim') ? secret('portoshim', portoshim) : []),
  ]
}

function filesOf({ name, endpoint, credentialFiles }: RegistryEntry): readonly NamedFile[] {
  const { caFiles = [], certFile, keyFile } = endpoint.tls ?? {}
  return [
    ...secret(`passwordFile of ${name}`, credentialFiles?.passwordFile),
    ...secret(`tokenFile of ${name}`, credentialFiles?.tokenFile),
    ...caFiles.flatMap((path) => open(`ca of ${name}`, path)),
    ...open(`cert of ${name}`, certFile),
    ...secret(`key of ${name}`, keyFile),
  ]
}

function secret(field: string, path: string | undefined): readonly NamedFile[] {
  return path === undefined ? [] : [{ field, path, kind: 'file', secret: true }]
}

function open(
  field: string,
  path: string | undefined,
  kind: NamedFile['kind'] = 'file',
): readonly NamedFile[] {
  return path === undefined ? [] : [{ field, path, kind, secret: false }]
}

async function lookAt(path: string): Promise<Found | undefined> {
  try {
    const stats = await stat(path)
    const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other'
    return { kind, mode: stats.mode & 0o777 }
  } catch {
    return undefined
  }
}
