import { join } from 'node:path'
import { parseDuration } from '../config/duration.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import type { Credentials } from '../registry/credentials.ts'
import { type CredentialHelperTools, endOf } from './credential-helper.ts'
import { userPassword } from './docker-auths.ts'
import { helperEnvironment } from './environment.ts'
import { imageAt, matchesImage } from './image-pattern.ts'
import { isObject, parseJsonObject, textOf } from './json.ts'
import { Keyring } from './keyring.ts'
import type { ProviderConfig } from './provider-config.ts'
import { Remembered } from './remembered.ts'

interface ProviderAnswer {
  readonly keyring: Keyring
  readonly scope: 'Image' | 'Registry' | 'Global'
  readonly keepMs: number
}

/** A provider that fails is left alone for this long, for the image it failed for. */
const FAILURE_KEEP_MS = 30_000

const MAX_ANSWERS = 1_000

/** One of the kubelet's exec plugins (KEP-2133; k8s.io/kubelet/pkg/apis/credentialprovider). */
export class ProviderPlugin {
  readonly #config: ProviderConfig
  readonly #binDir: string
  readonly #tools: CredentialHelperTools
  readonly #answers: Remembered<Keyring>

  constructor(config: ProviderConfig, binDir: string, tools: CredentialHelperTools) {
    this.#config = config
    this.#binDir = binDir
    this.#tools = tools
    this.#answers = new Remembered(tools.now, MAX_ANSWERS)
  }

  /** undefined: the image is not one of its, it has nothing, or it fails. */
  async credentials(host: string, repository: string): Promise<Credentials | undefined> {
    const place = imageAt(host, repository)
    if (!this.#config.matchImages.some((each) => matchesImage(each, place))) return undefined
    const image = `${host}/${repository}`
    const keys = { Image: `image ${image}`, Registry: `registry ${host}`, Global: 'global' }
    const kept = [keys.Image, keys.Registry, keys.Global]
      .map((key) => this.#answers.find(key))
      .find((found) => found !== undefined)
    const keyring =
      kept?.value ??
      (await this.#answers.share(image, async () => {
        const answer = await this.#ask(image)
        this.#answers.keep(keys[answer.scope], answer.keyring, answer.keepMs)
        return answer.keyring
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
  const auth = isObject(answer['auth']) ? Object.entries(answer['auth']) : []
  const pairs = auth.flatMap(([key, entry]) => {
    const username = isObject(entry) ? textOf(entry['username']) : undefined
    const password = isObject(entry) ? textOf(entry['password']) : undefined
    return username === undefined ? [] : [[key, userPassword(username, password ?? '')] as const]
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
