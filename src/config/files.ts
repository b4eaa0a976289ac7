import { statSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { ConfigFile } from '../../api/v1/config.ts'
import type { Schema } from '../../api/v1/schema.ts'
import { codeOf, messageOf } from '../errors.ts'
import { fieldsOf } from '../json.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Config } from './config.ts'
import { ConfigError, joinPath } from './diagnostics.ts'

/** Where a configuration is looked for when none is named; the second is image-cri-shim's. */
const DEFAULT_FILES = ['/etc/image-resolver.yaml', '/etc/image-cri-shim.yaml'] as const

const MAX_FILE_BYTES = 1024 * 1024
const CHUNK_BYTES = 64 * 1024

/**
 * The file to read: the one named, else the first default one that is there, else undefined. A
 * named one is returned unchecked: reading it then fails with the reason.
 */
export async function findConfigFile(
  explicit: string | undefined,
  exists: (path: string) => Promise<boolean> = fileExists,
): Promise<string | undefined> {
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
    return await readAtMost(handle, MAX_FILE_BYTES + 1)
  } finally {
    await handle.close()
  }
}

/** Streams of files would cost a start some milliseconds. */
export async function readAtMost(handle: FileHandle, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let left = bytes; left > 0; ) {
    const room = Buffer.alloc(Math.min(left, CHUNK_BYTES))
    const { bytesRead } = await handle.read({ buffer: room })
    if (bytesRead === 0) break
    chunks.push(room.subarray(0, bytesRead))
    left -= bytesRead
  }
  return Buffer.concat(chunks)
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
  return [
    ...secretsHere(config),
    ...config.registries.flatMap(filesOf),
    ...config.resolvers.flatMap(({ endpoint, tokenFile }) => [
      ...secretFile(`tokenFile of ${endpoint.host}`, tokenFile),
      ...(endpoint.tls?.caFiles ?? []).flatMap((path) => plainFile(`ca of ${endpoint.host}`, path)),
    ]),
    ...filesIn(ConfigFile, config, ''),
  ]
}

/** What fields name by their format; entries of lists are no fields any more. */
function filesIn(schema: Schema, value: unknown, field: string): readonly NamedFile[] {
  if (schema.type === 'object') {
    const fields = fieldsOf(value)
    return Object.entries(schema.properties).flatMap(([name, each]) =>
      filesIn(each, fields[name], joinPath(field, name)),
    )
  }
  if (schema.type === 'array') {
    const items: readonly unknown[] = Array.isArray(value) ? value : []
    return items.flatMap((item) =>
      typeof item === 'string' ? filesIn(schema.items, item, field) : [],
    )
  }
  if (schema.type !== 'string' || typeof value !== 'string') return []
  const { format = '' } = schema
  if (/^(?:secretFile|fileUrl)$/.test(format)) return secretFile(field, value)
  return format === 'file' || format === 'folder' ? plainFile(field, value, format) : []
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
