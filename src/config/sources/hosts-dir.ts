import { opendir } from 'node:fs/promises'
import { posix } from 'node:path'
import { codeOf, messageOf } from '../../errors.ts'
import { DOMAIN, splitDomain } from '../../reference/grammar.ts'
import { quote } from '../../reference/quote.ts'
import type { EndpointTls } from '../../registry/endpoint.ts'
import type { RegistryEntry } from '../../registry/entry.ts'
import { canonicalDomain } from '../../registry/public-registries.ts'
import { ConfigError } from '../diagnostics.ts'
import { readConfigFile } from '../files.ts'
import { entriesOf, type HostsList, hostsOf, needsOwnFolder } from './hosts-order.ts'
import { type HostsFile, isOwnHosts, parseHostsFile } from './hosts-toml.ts'

/** What a folder like /etc/containerd/certs.d says. */
export interface HostsDir {
  /** In the order of asking, priorities 499 and below; names are unique among them. */
  readonly entries: readonly RegistryEntry[]
  /** Domains with another registry as their `server`. */
  readonly mirrorsOnly: readonly string[]
  /** One line each, with the file: what was left out, and why. */
  readonly warnings: readonly string[]
  /** Those of the warnings that are of files which cannot be used. */
  readonly broken: readonly string[]
}

interface Folder {
  /** Absent: `_default`. */
  readonly domain?: string
  readonly path: string
}

const DEFAULT = '_default'
/** What no file system minds, for `host:5000`. */
const PORT_FORM = /^(.+)_(\d+)_$/
const MAX_FOLDERS = 256
const MAX_WARNINGS = 100

/**
 * Reads containerd's `certs.d/HOST/hosts.toml` (containerd, docs/hosts.md), and folders in Docker's
 * form, with certificates alone. A file that is wrong is left out with a warning, for its domain
 * alone. Never rejects.
 *
 * @param dir an absolute path
 * @param files default: the file system
 */
export async function readHostsDir(
  dir: string,
  files: HostsFiles = diskHostsFiles(readConfigFile),
): Promise<HostsDir> {
  const warnings: string[] = []
  const broken: string[] = []
  const lists: HostsList[] = []
  const mirrorsOnly: string[] = []
  const folders = await foldersIn(dir, files, warnings)
  if (folders.length === 0) broken.push(...warnings)
  const known = new Set(
    folders.flatMap(({ domain }) => (domain === undefined ? [] : posix.join(dir, domain))),
  )
  for (const { domain, path } of folders) {
    const line = (message: string): string => `${posix.join(path, 'hosts.toml')}: ${message}`
    const note = (message: string): void => void warnings.push(line(message))
    const file = await readFolder(path, files, (message) => {
      note(message)
      broken.push(line(message))
    })
    file.notes.forEach(note)
    const { places, isMirrored } = hostsOf(domain, file, note)
    for (const { endpoint } of places.filter(needsOwnFolder)) {
      const own = posix.join(dir, canonicalDomain(endpoint.host))
      if (known.has(own)) continue
      known.add(own)
      note(`containerd, too, needs a hosts.toml to reach ${endpoint.host}: there is no ${own}`)
    }
    lists.push({ places, ...(domain === undefined ? {} : { domain }) })
    if (isMirrored && domain !== undefined) mirrorsOnly.push(domain)
  }
  const entries = entriesOf(lists, (message) => warnings.push(`${dir}: ${message}`))
  const rest = warnings.length - MAX_WARNINGS
  if (rest > 0) warnings.splice(MAX_WARNINGS, rest, `${dir}: and ${rest} more warnings after these`)
  return { entries, mirrorsOnly, warnings, broken }
}

/** The folders of domains by name, `_default` last. */
async function foldersIn(
  dir: string,
  files: HostsFiles,
  warnings: string[],
): Promise<readonly Folder[]> {
  const names = await listed(dir, files, warnings)
  if (names === undefined && warnings.length === 0) warnings.push(`${dir}: there is no such folder`)
  // containerd looks for `host_5000_` before it looks for `host:5000`.
  const isPreferred = (name: string): number => Number(PORT_FORM.test(name))
  // A mounted ConfigMap keeps its data in `..2026_01_31` and links to it as `..data`.
  const sorted = (names ?? [])
    .filter((name) => !name.startsWith('.'))
    .sort((a, b) => isPreferred(b) - isPreferred(a) || (a < b ? -1 : 1))
  const found = new Map<string, Folder>()
  for (const name of sorted) {
    const path = posix.join(dir, name)
    if ((await listed(path, files, warnings)) === undefined) continue
    if (found.size === MAX_FOLDERS) {
      warnings.push(`${dir}: only the first ${MAX_FOLDERS} folders are read`)
      break
    }
    const domain = name === DEFAULT ? undefined : domainOf(name)
    const key = domain ?? name
    if (name !== DEFAULT && domain === undefined) {
      warnings.push(`${path}: left out, since ${quote(name)} is not what images are named after`)
    } else if (found.has(key)) {
      warnings.push(`${path}: left out, since ${found.get(key)?.path} is for the same registry`)
    } else {
      found.set(key, { path, ...(domain === undefined ? {} : { domain }) })
    }
  }
  const folders = [...found.values()]
  return [
    ...folders.filter(({ domain }) => domain !== undefined),
    ...folders.filter(({ domain }) => domain === undefined),
  ]
}

/** Undefined for what no reference has as its domain: other names of Docker Hub are not looked for either. */
function domainOf(name: string): string | undefined {
  const domain = name.replace(PORT_FORM, '$1:$2').toLowerCase()
  const isOne = DOMAIN.test(domain) && splitDomain(`${domain}/x`).domain === domain
  return isOne && canonicalDomain(domain) === domain ? domain : undefined
}

/** A hosts.toml that is empty or wrong counts as one that is not there, as for containerd. */
async function readFolder(
  folder: string,
  files: HostsFiles,
  isBroken: (message: string) => void,
): Promise<HostsFile> {
  try {
    const text = (await files.read(posix.join(folder, 'hosts.toml'))) ?? ''
    if (text !== '' && !isOwnHosts(text)) return await parseHostsFile(text, folder)
  } catch (thrown) {
    isBroken(reasonOf(thrown))
  }
  const notes: string[] = []
  const tls = certificatesIn(folder, (await listed(folder, files, notes)) ?? [], notes)
  return {
    hosts: [],
    server: { capabilities: ['resolve', 'pull'], ...(tls === undefined ? {} : { tls }) },
    notes,
  }
}

/** Docker's form: `*.crt` are authorities, `*.cert` and `*.key` of one name the client's own. */
function certificatesIn(
  folder: string,
  names: readonly string[],
  notes: string[],
): EndpointTls | undefined {
  const caFiles = names.filter((name) => name.endsWith('.crt')).sort()
  const [cert, more] = names.filter((name) => name.endsWith('.cert')).sort()
  if (more !== undefined) notes.push(`only the first client certificate is used, ${cert}`)
  const key = cert?.replace(/cert$/, 'key')
  if (caFiles.length === 0 && cert === undefined) return undefined
  return {
    ...(caFiles.length === 0 ? {} : { caFiles: caFiles.map((name) => posix.join(folder, name)) }),
    ...(cert === undefined
      ? {}
      : {
          certFile: posix.join(folder, cert),
          keyFile: posix.join(folder, key !== undefined && names.includes(key) ? key : cert),
        }),
  }
}

async function listed(
  folder: string,
  files: HostsFiles,
  warnings: string[],
): Promise<readonly string[] | undefined> {
  try {
    return await files.list(folder)
  } catch (thrown) {
    warnings.push(`${folder}: ${reasonOf(thrown)}`)
    return undefined
  }
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof ConfigError ? (thrown.problems[0]?.message ?? '') : messageOf(thrown)
}

/** The part of a file system that is read. Both reject when something is there and cannot be read. */
export interface HostsFiles {
  /** Names in a folder, in any order; undefined: not there, or no folder. */
  list(folder: string): Promise<readonly string[] | undefined>
  /** A file's text; undefined: not there. */
  read(file: string): Promise<string | undefined>
}

const MAX_NAMES = 1_000

/**
 * The file system. A folder may hold at most 1000 names.
 *
 * @param read rejects with a ConfigError; its cause has the code of a missing file
 */
export function diskHostsFiles(read: (file: string) => Promise<string>): HostsFiles {
  return {
    list: (folder) => listFolder(folder),
    read: (file) => unlessMissing(read(file)),
  }
}

async function listFolder(path: string): Promise<readonly string[] | undefined> {
  const folder = await unlessMissing(opendir(path))
  if (folder === undefined) return undefined
  const names: string[] = []
  // Leaving the loop closes the folder.
  for await (const { name } of folder) {
    if (names.length === MAX_NAMES) throw new Error(`holds more than ${MAX_NAMES} files`)
    names.push(name)
  }
  return names
}

async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (thrown) {
    const code = codeOf(thrown instanceof ConfigError ? thrown.cause : thrown)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw thrown
  }
}
