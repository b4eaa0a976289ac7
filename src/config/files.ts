import { statSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { codeOf, messageOf } from '../errors.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Config } from './config.ts'
import { ConfigError } from './diagnostics.ts'

/** Where a configuration is looked for when none is named; the second is image-cri-shim's. */
const DEFAULT_FILES = ['/etc/image-resolver.yaml', '/etc/image-cri-shim.yaml'] as const

const MAX_FILE_BYTES = 1024 * 1024

/**
 * The file to read: the one named, else the first default one that is there, else undefined. A
 * named one is returned unchecked: reading it then fails with the reason.
 */
export async function findConfigFile({
  explicit,
  exists = fileExists,
}: {
  readonly explicit?: string
  readonly exists?: (path: string) => Promise<boolean>
} = {}): Promise<string | undefined> {
  if (explicit !== undefined) return explicit
  for (const file of DEFAULT_FILES) {
    if (await exists(file)) return file
  }
  return undefined
}

/**
 * Reads a configuration file: UTF-8, at most 1 MiB.
 *
 * @throws ConfigError saying why it cannot be read
 */
export async function readConfigFile(file: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readBytes(file)
  } catch (thrown) {
    throw unusable(file, describe(thrown), thrown)
  }
  if (bytes.length > MAX_FILE_BYTES) throw unusable(file, 'larger than 1 MiB')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (thrown) {
    throw unusable(file, 'not UTF-8 text', thrown)
  }
}

/** Whether a unix socket is there; not whether it is served. */
export function socketExists(path: string): boolean {
  try {
    return statSync(path).isSocket()
  } catch {
    return false
  }
}

/** One byte more than is allowed, at most, is read: a device has no size and no end. */
async function readBytes(file: string): Promise<Buffer> {
  // Opening a pipe would wait for its writer, perhaps for ever.
  const kind = await stat(file)
  if (!kind.isFile() && !kind.isCharacterDevice()) throw new Error('not a regular file')
  const handle = await open(file)
  try {
    // `end` counts in.
    return await buffer(handle.createReadStream({ end: MAX_FILE_BYTES, autoClose: false }))
  } finally {
    await handle.close()
  }
}

/** A file that is there but may not be looked at counts as there: the reading then says so. */
async function fileExists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (thrown) {
    return codeOf(thrown) !== 'ENOENT' && codeOf(thrown) !== 'ENOTDIR'
  }
}

function describe(thrown: unknown): string {
  const code = codeOf(thrown)
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it'
  if (code !== undefined) return `cannot be read (${code})`
  return `cannot be read: ${messageOf(thrown)}`
}

function unusable(file: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError(file, [{ line: 0, path: '', message }], cause)
}

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

/** A file that a configuration names, and what is odd about it. */
export interface NamedFileProblem {
  readonly kind: 'absent' | 'not a file' | 'readable by all'
  readonly path: string
  /** With the field and the path. */
  readonly message: string
}

/**
 * What is odd about the files that a configuration names: not there, or a secret that every user can
 * read. None of it is a mistake, since such files may come later, and are read when they are needed.
 */
export async function namedFileProblems(
  config: Config,
  look: (path: string) => Promise<Found | undefined> = lookAt,
): Promise<readonly NamedFileProblem[]> {
  const problems = await Promise.all(
    namedFiles(config).map(async (named) => problemOf(named, await look(named.path))),
  )
  return problems.flat()
}

/** As namedFileProblems. @returns one line each */
export async function namedFileWarnings(
  config: Config,
  look?: (path: string) => Promise<Found | undefined>,
): Promise<readonly string[]> {
  return (await namedFileProblems(config, look)).map(({ message }) => message)
}

function problemOf(
  { field, path, kind, secret }: NamedFile,
  found: Found | undefined,
): readonly NamedFileProblem[] {
  if (found === undefined) {
    const message = `${field}: ${path} is not there, or not for us to see`
    return [{ kind: 'absent', path, message }]
  }
  if (found.kind !== kind) {
    return [{ kind: 'not a file', path, message: `${field}: ${path} is no ${kind}` }]
  }
  if (!secret || (found.mode & READABLE_BY_ALL) === 0) return []
  const message = `${field}: every user of this machine can read ${path}: chmod o-r would keep it secret`
  return [{ kind: 'readable by all', path, message }]
}

function namedFiles(config: Config): readonly NamedFile[] {
  const { cache, configMap, keychain, http } = config
  const providers = keychain.credentialProviders
  return [
    ...secretsHere(config),
    ...config.registries.flatMap(filesOf),
    ...config.resolvers.flatMap(({ endpoint, tokenFile }) => [
      ...secretFile(`tokenFile of ${endpoint.host}`, tokenFile),
      ...(endpoint.tls?.caFiles ?? []).flatMap((path) => plainFile(`ca of ${endpoint.host}`, path)),
    ]),
    ...keychain.dockerConfigs.flatMap((path) => secretFile('keychain.dockerConfigs', path)),
    ...keychain.pullSecrets.flatMap((path) => secretFile('keychain.pullSecrets', path)),
    ...plainFile('keychain.credentialProviders.config', providers?.config),
    ...plainFile('keychain.credentialProviders.binDir', providers?.binDir, 'folder'),
    ...secretFile('configMap.kubeconfig', configMap?.kubeconfig),
    ...secretFile('cache.shared.key', cache.shared?.keyFile),
    ...secretFile('cache.shared.passwordFile', cache.shared?.passwordFile),
    ...secretFile('cache.shared.sentinelPasswordFile', cache.shared?.sentinelPasswordFile),
    ...plainFile('cache.shared.tls.ca', cache.shared?.tls.caFile),
    ...plainFile('cache.shared.tls.cert', cache.shared?.tls.certFile),
    ...secretFile('cache.shared.tls.key', cache.shared?.tls.keyFile),
    ...secretFile('http.tokenFile', http.tokenFile),
    ...plainFile('http.tls.cert', http.tls?.certFile),
    ...secretFile('http.tls.key', http.tls?.keyFile),
  ]
}

/** The files that were read already, where they hold secrets themselves. */
function secretsHere({ file, portoshim, registries, proxy, http }: Config): readonly NamedFile[] {
  const hasSecrets = (source: RegistryEntry['source']): boolean =>
    registries.some((entry) => entry.credentials !== undefined && entry.source === source)
  const proxies = `${proxy.http} ${proxy.https}`
  const isSecret = hasSecrets(undefined) || http.token !== undefined || proxies.includes('@')
  return [
    ...(isSecret ? secretFile('the configuration', file) : []),
    ...(hasSecrets('portoshim') ? secretFile('portoshim', portoshim) : []),
  ]
}

function filesOf({ name, endpoint, credentialFiles }: RegistryEntry): readonly NamedFile[] {
  const { caFiles = [], certFile, keyFile } = endpoint.tls ?? {}
  return [
    ...secretFile(`passwordFile of ${name}`, credentialFiles?.passwordFile),
    ...secretFile(`tokenFile of ${name}`, credentialFiles?.tokenFile),
    ...caFiles.flatMap((path) => plainFile(`ca of ${name}`, path)),
    ...plainFile(`cert of ${name}`, certFile),
    ...secretFile(`key of ${name}`, keyFile),
  ]
}

function secretFile(field: string, path: string | undefined): readonly NamedFile[] {
  return path === undefined ? [] : [{ field, path, kind: 'file', secret: true }]
}

function plainFile(
  field: string,
  path: string | undefined,
  kind: NamedFile['kind'] = 'file',
): readonly NamedFile[] {
  return path === undefined ? [] : [{ field, path, kind, secret: false }]
}

/** @returns undefined: not there, or not to be seen */
export async function lookAt(path: string): Promise<Found | undefined> {
  try {
    const stats = await stat(path)
    const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other'
    return { kind, mode: stats.mode & 0o777 }
  } catch {
    return undefined
  }
}
