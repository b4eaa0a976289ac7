import { posix } from 'node:path'
import { ConfigFile } from '../../../api/v1/config.ts'
import { messageOf } from '../../errors.ts'
import { openTrustedFile } from '../../host/trusted-file.ts'
import { writeWhole } from '../../host/whole-file.ts'
import { type Fields, fieldsOf, isFields } from '../../json.ts'
import { quote } from '../../reference/quote.ts'
import { type Endpoint, endpointKey, isLoopbackHost } from '../../registry/endpoint.ts'
import type { RegistryEntry } from '../../registry/entry.ts'
import {
  fieldOf,
  isEmpty,
  scalarOf,
  type YamlField,
  type YamlMap,
  type YamlNode,
} from '../../yaml/node.ts'
import type { ConfigMapConfig } from '../config.ts'
import { ConfigError, type Diagnostics, formatProblem, joinPath } from '../diagnostics.ts'
import { type DecodedConfig, decode } from '../schema.ts'
import type { getFromKubeApi } from './kube-api.ts'

/** What a ConfigMap says now, or said when it could last be read. */
interface SharedText {
  /** undefined: it never could be read. */
  readonly text: string | undefined
  /** Why it is not what the ConfigMap says now. */
  readonly problem?: string
}

interface ConfigMapOptions {
  /** Keeps what is good on the disk, for a start without the API server. Default: false. */
  readonly save?: boolean
  readonly get?: typeof getFromKubeApi
}

const FILE = 'configmap.yaml'
const MAX_BYTES = 1024 * 1024
/** The first reading delays the start: less where a good one is on the disk. */
const START_LIMIT_MS = 2_000
const START_LIMIT_SAVED_MS = 1_000

/** The ConfigMap that image-cri-shim copies over its file: read, and the last good one kept. */
export class ConfigMapReader {
  readonly #save: boolean
  readonly #get: typeof getFromKubeApi | undefined
  #good: string | undefined
  #saved: string | undefined
  #said: string | undefined
  #news: string[] = []
  #isFirst = true

  constructor({ save = false, get }: ConfigMapOptions = {}) {
    this.#save = save
    this.#get = get
  }

  /** Never rejects. */
  async read(config: ConfigMapConfig, folder: string): Promise<SharedText> {
    this.#good ??= this.#saved = await savedText(folder)
    const startLimitMs = this.#good === undefined ? START_LIMIT_MS : START_LIMIT_SAVED_MS
    const limit = this.#isFirst ? { limitMs: startLimitMs } : {}
    this.#isFirst = false
    try {
      return { text: await this.#text(config, limit) }
    } catch (thrown) {
      return this.failed(config, thrown)
    }
  }

  /** What was read turns out to be good, and is kept. */
  async accept(text: string, folder: string): Promise<void> {
    this.#said = undefined
    this.#good = text
    if (!this.#save || text === this.#saved) return
    // A state folder that cannot be written has a warning of its own.
    const file = posix.join(folder, FILE)
    await writeWhole(file, `${file}.new`, text).then(
      () => {
        this.#saved = text
      },
      () => undefined,
    )
  }

  /** What was read cannot be used. */
  failed({ name }: ConfigMapConfig, thrown: unknown): SharedText {
    const reason = reasonOf(thrown)
    const instead =
      this.#good === undefined
        ? 'the file alone counts; each reload tries again'
        : 'the last good one stays'
    const problem = `ConfigMap ${name}: ${reason}; ${instead}`
    if (problem !== this.#said) this.#news.push(problem)
    this.#said = problem
    return { text: this.#good, problem }
  }

  /** Problems that were not there at the reading before, each once. */
  takeNews(): readonly string[] {
    return this.#news.splice(0)
  }

  async #text(
    { name, key, kubeconfig }: ConfigMapConfig,
    limit: { readonly limitMs?: number },
  ): Promise<string> {
    // What the API server has in memory will do, so that no node of many burdens etcd.
    const path = `/api/v1/namespaces/${name.replace('/', '/configmaps/')}?resourceVersion=0`
    const get = this.#get ?? (await import('./kube-api.ts')).getFromKubeApi
    const found = await get(path, { kubeconfig, ...limit })
    if (found === undefined) throw new Error('there is none of this name')
    const text = dataOf(found)[key]
    if (typeof text !== 'string' || text.trim() === '') throw new Error(`it has no ${key}`)
    return text
  }
}

/** @throws Error that says what the API server answered with */
function dataOf(found: unknown): Fields {
  const { kind = 'ConfigMap', data } = isFields(found) ? found : { kind: null }
  if (kind === 'ConfigMap') return fieldsOf(data)
  const came = isFields(found) ? `kind ${quote(String(kind))}` : nameOfJson(found)
  throw new Error(`the API server answers with ${came}; a ConfigMap was expected`)
}

function nameOfJson(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof ConfigError) {
    return thrown.problems.map((problem) => formatProblem(thrown.file, problem)).join('; ')
  }
  return messageOf(thrown)
}

async function savedText(folder: string): Promise<string | undefined> {
  try {
    const file = await openTrustedFile(posix.join(folder, FILE))
    if (file === undefined) return undefined
    try {
      const { size } = await file.stat()
      return size > MAX_BYTES ? undefined : await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch {
    // Written by another user, or not readable: it counts as missing.
    return undefined
  }
}

/** What the fields of an image-cri-shim ConfigMap may say; none of them names a file of the node. */
const SHARED: ReadonlySet<string> = new Set([
  'address',
  'auth',
  'offlinePriority',
  'registries',
  'mirrorsOnly',
  'force',
  'debug',
  'timeout',
  'reloadInterval',
  'cache',
])
const SEALOS: ReadonlySet<string> = new Set(['address'])
const SHARED_OF_REGISTRY: ReadonlySet<string> = new Set([
  'address',
  'auth',
  'username',
  'password',
  'identityToken',
  'priority',
  'upstreams',
  'path',
  'capabilities',
  'trusted',
  'insecureSkipVerify',
  'plainHttp',
])

/**
 * Reads the `registries.yaml` of image-cri-shim's ConfigMap (labring/sealos, configmap_sync.go):
 * `sealos:` with address and auth is the offline registry, `auth` is a user and a password. What
 * would have the node read a file, or change where it listens, is refused: the right to write
 * the ConfigMap is not the right to be root on every node.
 */
export function readShared(root: YamlNode | undefined, diagnostics: Diagnostics): DecodedConfig {
  if (root?.kind !== 'map') return decode(ConfigFile, root, diagnostics)
  const fields = [...root.fields].flatMap(([name, field]): readonly NamedField[] => {
    const { line, value } = field
    diagnostics.place(name, line)
    // It is the version of the form, not of CRI.
    if (name === 'version' || isEmpty(value)) return []
    if (name === 'sealos') {
      return value.kind === 'map'
        ? [...withAuth(value, SEALOS, name, diagnostics).fields]
        : [[name, field]]
    }
    if (!SHARED.has(name)) {
      diagnostics.problem(name, NOT_READ)
      return []
    }
    if (name === 'cache' && value.kind === 'map') {
      const cache = new Map(value.fields)
      // It names files of the node, and an address that every node would dial.
      if (cache.delete('shared')) diagnostics.problem('cache.shared', NOT_READ)
      return [[name, { ...field, value: { ...value, fields: cache } }]]
    }
    if (name === 'registries' && value.kind === 'list') {
      const items = value.items.map((item, index) =>
        item.kind === 'map'
          ? withAuth(item, SHARED_OF_REGISTRY, joinPath(name, index), diagnostics)
          : item,
      )
      // As image-cri-shim has it, an empty list says nothing.
      return items.length === 0 ? [] : [[name, { ...field, value: { ...value, items } }]]
    }
    return [[name, field]]
  })
  return decode(ConfigFile, { ...root, fields: new Map(fields) }, diagnostics)
}

type NamedField = readonly [name: string, field: YamlField]

const NOT_READ = 'not read from a ConfigMap; write it in the file of the node'

/**
 * The file, with what the ConfigMap says in its place: `registries` as a whole, `cache` field by field.
 * Credentials and TLS settings that the file has for its `address` are for no other address.
 */
export function merged(own: DecodedConfig, shared: DecodedConfig): DecodedConfig {
  const { auth, ca, cert, key, insecureSkipVerify, plainHttp, ...rest } = own
  const isSame = shared.address === undefined || shared.address === own.address
  const { cache } = shared
  return {
    ...(isSame ? own : rest),
    ...shared,
    ...(cache === undefined ? {} : { cache: { ...own.cache, ...cache } }),
  }
}

/**
 * The registries of both. Those that only the ConfigMap has, and that are asked without verified TLS, get
 * nothing of the node's keychain.
 *
 * @param own those of the file alone
 */
export function guarded(
  registries: readonly RegistryEntry[],
  own: readonly RegistryEntry[],
): readonly RegistryEntry[] {
  const known = new Set(own.map(({ endpoint }) => endpointKey(endpoint)))
  return registries.map((entry) => {
    const isSafe = !isOpen(entry.endpoint) || known.has(endpointKey(entry.endpoint))
    return isSafe ? entry : { ...entry, ownSecretsOnly: true }
  })
}

function isOpen({ scheme, host, tls }: Endpoint): boolean {
  const isUnverified = scheme === 'http' || tls?.insecureSkipVerify === true
  return isUnverified && !isLoopbackHost(host)
}

/** `auth: {username, password}` becomes `auth: username:password`, and nothing when both are empty. */
function withAuth(
  map: YamlMap,
  known: ReadonlySet<string>,
  path: string,
  diagnostics: Diagnostics,
): YamlMap {
  const fields = [...map.fields].flatMap(([name, field]): readonly NamedField[] => {
    const { line, value } = field
    diagnostics.place(joinPath(path, name), line)
    if (name === 'auth' && value.kind === 'map') {
      const parts = ['username', 'password'].map((part) =>
        (scalarOf(fieldOf(value, part)) ?? '').trim(),
      )
      const text = parts.join(':')
      if (text === ':') return []
      const { start } = value
      const auth = { kind: 'text', text, quoted: true, quote: '', start, end: start, line } as const
      return [[name, { ...field, value: auth }]]
    }
    if (name === 'auth' || known.has(name)) return [[name, field]]
    diagnostics.problem(joinPath(path, name), 'not read from a ConfigMap')
    return []
  })
  return { ...map, fields: new Map(fields) }
}
