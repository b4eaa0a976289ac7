import { join } from 'node:path'
import type { LRUCache } from 'lru-cache'
import { SingleFlight } from '../concurrency/single-flight.ts'
import type { KeychainConfig } from '../config/config.ts'
import { parseDuration } from '../config/values.ts'
import { parseYaml } from '../config/yaml.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { isFields } from '../json.ts'
import { quote } from '../reference/quote.ts'
import { type Credentials, markIssued, userPassword } from '../registry/credentials.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import { fieldOf, itemsOf, scalarOf, type YamlNode } from '../yaml/node.ts'
import { parseJsonObject, textOf } from './docker.ts'
import { answerCache, type CredentialHelperTools, endOf } from './helpers.ts'
import {
  type ImagePattern,
  imageAt,
  Keyring,
  matchesImage,
  parseImagePattern,
} from './image-pattern.ts'
import { helperEnvironment } from './program.ts'
import { WatchedFile } from './watched-file.ts'

const MAX_CONFIG_BYTES = 256 * 1024

/** The kubelet's credential providers, as its own configuration file lists them. */
export class KubeletProviders {
  readonly #file: WatchedFile<readonly ProviderConfig[]>
  readonly #binDir: string
  readonly #tools: CredentialHelperTools
  #configs: readonly ProviderConfig[] | undefined
  #plugins: readonly ProviderPlugin[] = []

  constructor(
    { config, binDir }: NonNullable<KeychainConfig['credentialProviders']>,
    tools: CredentialHelperTools,
  ) {
    const { now, warnOnce } = tools
    this.#binDir = binDir
    this.#tools = tools
    this.#file = new WatchedFile({
      file: config,
      limitBytes: MAX_CONFIG_BYTES,
      parse: parseProviderConfig,
      now,
      warnOnce,
    })
  }

  /** Asked in the order of the file, until one has something. */
  async credentials(host: string, repository: string): Promise<Credentials | undefined> {
    const configs = await this.#file.read()
    if (configs !== this.#configs) {
      this.#configs = configs
      this.#plugins = (configs ?? []).map(
        (config) => new ProviderPlugin(config, this.#binDir, this.#tools),
      )
    }
    for (const plugin of this.#plugins) {
      // As kubelets do, images of Docker Hub are called docker.io/….
      const found = await plugin.credentials(canonicalDomain(host), repository)
      if (found !== undefined) return found
    }
    return undefined
  }
}

interface ProviderAnswer {
  readonly keyring: Keyring
  readonly scope: 'Image' | 'Registry' | 'Global'
  readonly keepMs: number
}

/** A provider that fails is left alone for this long, for the image it failed for. */
const FAILURE_KEEP_MS = 30_000

/** One of the kubelet's exec plugins (KEP-2133; k8s.io/kubelet/pkg/apis/credentialprovider). */
export class ProviderPlugin {
  readonly #config: ProviderConfig
  readonly #binDir: string
  readonly #tools: CredentialHelperTools
  readonly #answers: LRUCache<string, Keyring>
  readonly #asking = new SingleFlight<Keyring>()

  constructor(config: ProviderConfig, binDir: string, tools: CredentialHelperTools) {
    this.#config = config
    this.#binDir = binDir
    this.#tools = tools
    this.#answers = answerCache(tools.now, config.defaultCacheMs)
  }

  /** undefined: the image is not one of its, it has nothing, or it fails. */
  async credentials(host: string, repository: string): Promise<Credentials | undefined> {
    const place = imageAt(host, repository)
    if (!this.#config.matchImages.some((each) => matchesImage(each, place))) return undefined
    const image = `${host}/${repository}`
    const keys = { Image: `image ${image}`, Registry: `registry ${host}`, Global: 'global' }
    const keyring =
      this.#answers.get(keys.Image) ??
      this.#answers.get(keys.Registry) ??
      this.#answers.get(keys.Global) ??
      (await this.#asking.run(image, undefined, async () => {
        const answer = await this.#ask(image)
        const { keyring: found, keepMs: ttl } = answer
        // To lru-cache a time of 0 means for ever.
        if (ttl > 0) this.#answers.set(keys[answer.scope], found, { ttl })
        return found
      }))
    return keyring.find(host, repository)
  }

  async #ask(image: string): Promise<ProviderAnswer> {
    const { name, apiVersion, args, env, defaultCacheMs } = this.#config
    const { programs, environment, warnOnce } = this.#tools
    try {
      const { code, output } = await programs.run({
        file: join(this.#binDir, name),
        args,
        env: { ...helperEnvironment(environment), ...env },
        input: JSON.stringify({ apiVersion, kind: 'CredentialProviderRequest', image }),
      })
      if (code !== 0) throw refused(endOf(code))
      return readAnswer(output, apiVersion, defaultCacheMs)
    } catch (thrown) {
      const { code, message: reason } = toResolveError(thrown)
      if (code !== 'CANCELED') {
        const fields = { provider: name, reason }
        warnOnce.warn(name, 'a credential provider failed; going on without it', fields)
      }
      return { keyring: new Keyring([]), scope: 'Image', keepMs: FAILURE_KEEP_MS }
    }
  }
}

function readAnswer(output: string, apiVersion: string, defaultCacheMs: number): ProviderAnswer {
  const answer = parseJsonObject(output)
  if (answer['kind'] !== 'CredentialProviderResponse') {
    throw refused('the `kind` it answers is not CredentialProviderResponse')
  }
  if (answer['apiVersion'] !== apiVersion) {
    throw refused(`the \`apiVersion\` it answers is not ${apiVersion}`)
  }
  const scope = answer['cacheKeyType']
  if (scope !== 'Image' && scope !== 'Registry' && scope !== 'Global') {
    throw refused('its `cacheKeyType` is not Image, Registry or Global')
  }
  const auth = isFields(answer['auth']) ? Object.entries(answer['auth']) : []
  const pairs = auth.flatMap(([key, entry]) => {
    const username = isFields(entry) ? textOf(entry['username']) : undefined
    const password = isFields(entry) ? textOf(entry['password']) : undefined
    if (username === undefined) return []
    return [[key, markIssued(userPassword(username, password ?? ''))] as const]
  })
  const duration = textOf(answer['cacheDuration'])
  return {
    keyring: new Keyring(pairs),
    scope,
    keepMs: duration === undefined ? defaultCacheMs : readDuration(duration),
  }
}

/** The parser's own message would repeat what the program printed. */
function readDuration(text: string): number {
  try {
    return parseDuration(text)
  } catch (thrown) {
    throw refused('its `cacheDuration` is not a duration', thrown)
  }
}

function refused(message: string, cause?: unknown): ResolveError {
  return new ResolveError('UNAVAILABLE', message, { cause })
}

/** One provider of a kubelet's CredentialProviderConfig. */
export interface ProviderConfig {
  /** Of its program in the folder of providers. */
  readonly name: string
  /** Of the protocol it speaks: `credentialprovider.kubelet.k8s.io/v1`. */
  readonly apiVersion: string
  readonly matchImages: readonly ImagePattern[]
  readonly defaultCacheMs: number
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const CONFIG_VERSION = /^kubelet\.config\.k8s\.io\/(?:v1|v1beta1|v1alpha1)$/
const WIRE_VERSION = /^credentialprovider\.kubelet\.k8s\.io\/(?:v1|v1beta1|v1alpha1)$/

/**
 * Parses the file of the kubelet's `--image-credential-provider-config`, YAML or JSON. Fields that
 * are not known are not looked at.
 *
 * @param note called for each provider that is left out
 * @throws ResolveError CONFIG_INVALID
 */
export function parseProviderConfig(
  text: string,
  note: (reason: string) => void,
): readonly ProviderConfig[] {
  const { root, problems } = parseYaml(text)
  const [problem] = problems
  if (problem !== undefined) throw invalid(`line ${problem.line}: ${problem.message}`)
  if (wordOf(fieldOf(root, 'kind')) !== 'CredentialProviderConfig') {
    throw invalid('its `kind` is not CredentialProviderConfig')
  }
  if (!CONFIG_VERSION.test(wordOf(fieldOf(root, 'apiVersion')))) {
    throw invalid('its `apiVersion` is not kubelet.config.k8s.io/v1, v1beta1 or v1alpha1')
  }
  return itemsOf(fieldOf(root, 'providers')).flatMap((node) => {
    try {
      return [parseProvider(node)]
    } catch (thrown) {
      note(`provider ${quote(wordOf(fieldOf(node, 'name')))}: ${toResolveError(thrown).message}`)
      return []
    }
  })
}

function parseProvider(node: YamlNode): ProviderConfig {
  const name = wordOf(fieldOf(node, 'name'))
  if (!/^[A-Za-z0-9._-]+$/.test(name) || name === '.' || name === '..') {
    throw invalid('its name has to be that of a file, of letters, digits, ., _ and -')
  }
  if (fieldOf(node, 'tokenAttributes') !== undefined) {
    throw invalid(
      'it needs tokens of service accounts (`tokenAttributes`), which only the kubelet has',
    )
  }
  const apiVersion = wordOf(fieldOf(node, 'apiVersion'))
  if (!WIRE_VERSION.test(apiVersion)) {
    throw invalid(
      'its `apiVersion` is not credentialprovider.kubelet.k8s.io/v1, v1beta1 or v1alpha1',
    )
  }
  const matchImages = itemsOf(fieldOf(node, 'matchImages')).map((each) => {
    const pattern = parseImagePattern(wordOf(each))
    if (pattern === undefined) throw invalid(`\`matchImages\` holds ${quote(wordOf(each))}`)
    return pattern
  })
  const cacheDuration = wordOf(fieldOf(node, 'defaultCacheDuration'))
  if (cacheDuration === '') throw invalid('it has no `defaultCacheDuration`')
  if (matchImages.length === 0) throw invalid('`matchImages` is empty')
  return {
    name,
    apiVersion,
    matchImages,
    defaultCacheMs: parseDuration(cacheDuration),
    args: itemsOf(fieldOf(node, 'args')).map(wordOf),
    env: Object.fromEntries(
      itemsOf(fieldOf(node, 'env')).map((each) => [
        wordOf(fieldOf(each, 'name')),
        wordOf(fieldOf(each, 'value')),
      ]),
    ),
  }
}

function invalid(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}

function wordOf(node: YamlNode | undefined): string {
  return scalarOf(node) ?? ''
}
