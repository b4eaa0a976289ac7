import { constants } from 'node:fs'
import { rename } from 'node:fs/promises'
import { posix } from 'node:path'
import { openTrustedFile } from '../../host/trusted-file.ts'
import { quote } from '../../reference/quote.ts'
import type { ConfigMapConfig } from '../config.ts'
import { ConfigError, formatProblem } from '../diagnostics.ts'
import { getFromKubeApi } from './kube-api.ts'

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
const NEW = 'configmap.yaml.new'
const MAX_BYTES = 1024 * 1024
/** The first reading delays the start: less where a good one is on the disk. */
const START_LIMIT_MS = 2_000
const START_LIMIT_SAVED_MS = 1_000

/** The ConfigMap that image-cri-shim copies over its file: read, and the last good one kept. */
export class ConfigMapReader {
  readonly #save: boolean
  readonly #get: typeof getFromKubeApi
  #good: string | undefined
  #saved: string | undefined
  #said: string | undefined
  #news: string[] = []
  #isFirst = true

  constructor({ save = false, get = getFromKubeApi }: ConfigMapOptions = {}) {
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
    await saveText(folder, text).then(
      () => {
        this.#saved = text
      },
      () => undefined,
    )
  }

  /** What was read cannot be used. */
  failed({ namespace, name }: ConfigMapConfig, thrown: unknown): SharedText {
    const reason = reasonOf(thrown)
    const instead =
      this.#good === undefined
        ? 'the file alone counts until a reload can read it'
        : 'the last good one stays'
    const problem = `ConfigMap ${namespace}/${name}: ${reason}; ${instead}`
    if (problem !== this.#said) this.#news.push(problem)
    this.#said = problem
    return { text: this.#good, problem }
  }

  /** Problems that were not there at the reading before, each once. */
  takeNews(): readonly string[] {
    return this.#news.splice(0)
  }

  async #text(
    { namespace, name, key, kubeconfig }: ConfigMapConfig,
    limit: { readonly limitMs?: number },
  ): Promise<string> {
    // What the API server has in memory will do, so that no node of many burdens etcd.
    const path = `/api/v1/namespaces/${namespace}/configmaps/${name}?resourceVersion=0`
    const found = await this.#get(path, { kubeconfig, ...limit })
    if (found === undefined) throw new Error('there is none of this name')
    const text = dataOf(found)[key]
    if (typeof text !== 'string' || text.trim() === '') throw new Error(`it has no ${key}`)
    return text
  }
}

/** @throws Error that says what the API server answered with */
function dataOf(found: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof found === 'object' && found !== null && !Array.isArray(found)
  const { kind = 'ConfigMap', data } = isObject
    ? (found as { readonly kind?: unknown; readonly data?: Readonly<Record<string, unknown>> })
    : { kind: null }
  if (kind !== 'ConfigMap') {
    const came = isObject ? `kind ${quote(String(kind))}` : nameOfJson(found)
    throw new Error(`the API server answers with ${came}; a ConfigMap was expected`)
  }
  return data ?? {}
}

function nameOfJson(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof ConfigError) {
    return thrown.problems.map((problem) => formatProblem(thrown.file, problem)).join('; ')
  }
  return thrown instanceof Error ? thrown.message : String(thrown)
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
    // Written by somebody else, or not for us to read: then it is as if it were not there.
    return undefined
  }
}

/** Whole or not at all. */
async function saveText(folder: string, text: string): Promise<void> {
  const file = await openTrustedFile(
    posix.join(folder, NEW),
    constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  )
  try {
    await file?.writeFile(text)
    await file?.sync()
  } finally {
    await file?.close()
  }
  await rename(posix.join(folder, NEW), posix.join(folder, FILE))
}
