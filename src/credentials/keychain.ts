import type { Environment, KeychainConfig } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { CredentialFiles, RegistryEntry } from '../registry/entry.ts'
import { sameDomain } from '../registry/public-registries.ts'
import type { Logger } from '../telemetry/log.ts'
import { DockerConfigFile, MAX_AUTHS_BYTES, parseDockerAuths } from './docker.ts'
import { CredentialHelpers } from './helpers.ts'
import { Keyring } from './image-pattern.ts'
import { KubeletProviders } from './kubelet.ts'
import { Programs } from './program.ts'
import { WarnOnce, WatchedFile } from './watched-file.ts'

export interface KeychainOptions {
  readonly config: KeychainConfig
  readonly logger: Pick<Logger, 'warn'>
  /** Milliseconds of a monotonic clock: what is kept for minutes must not be kept for hours. */
  readonly now: () => number
  /** Of which helpers and providers are given a part; default: the process's. */
  readonly environment?: Environment
  /** Default: real ones, within `config.helperTimeoutMs`. */
  readonly programs?: Pick<Programs, 'run' | 'close'>
}

/** Somewhere secrets are kept. It never rejects. */
interface Source {
  credentials(host: string, repository: string): Promise<Credentials | undefined>
}

/**
 * The operator's secrets, asked for in a stated order (docs/credentials.md). It never rejects: what
 * cannot be had is logged once, and it goes on without.
 */
export class OperatorKeychain {
  readonly #secretFiles: SecretFiles
  readonly #sources: readonly Source[]
  readonly #programs: Pick<Programs, 'run' | 'close'>

  constructor(options: KeychainOptions) {
    const { config, logger, now, environment = process.env } = options
    const warnOnce = new WarnOnce(logger)
    const programs = options.programs ?? new Programs(config.helperTimeoutMs)
    const tools = { programs, environment, now, warnOnce }
    const helpers = new CredentialHelpers(tools)
    this.#programs = programs
    this.#secretFiles = new SecretFiles({ now, warnOnce })
    this.#sources = [
      ...config.dockerConfigs.map((file) => new DockerConfigFile(file, { helpers, now, warnOnce })),
      new PullSecrets(config.pullSecrets, { now, warnOnce }),
      ...(config.credentialProviders === undefined
        ? []
        : [new KubeletProviders(config.credentialProviders, tools)]),
    ]
  }

  /**
   * What to show to a host: the entry's own, and then no other source is asked; else the first of Docker
   * configurations, pull secrets and credential providers that has something for it.
   *
   * @param host `host[:port]` that will be contacted
   * @param repository below `/v2/` there
   */
  async credentials(
    host: string,
    repository: string,
    entry: RegistryEntry | undefined,
  ): Promise<Credentials | undefined> {
    // An entry's secrets are for its own host, whatever the caller takes it for.
    if (entry !== undefined && sameDomain(entry.endpoint.host, host)) {
      if (entry.credentials !== undefined) return entry.credentials
      if (entry.credentialFiles !== undefined) {
        return this.#secretFiles.credentials(entry.credentialFiles)
      }
    }
    if (entry?.ownSecretsOnly === true) return undefined
    for (const source of this.#sources) {
      const found = await source.credentials(host, repository)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Ends every helper that still runs; after that none is started. */
  close(): Promise<void> {
    return this.#programs.close()
  }
}

const MAX_SECRET_BYTES = 64 * 1024

/** The `passwordFile` and `tokenFile` of configured registries. */
export class SecretFiles {
  readonly #tools: { readonly now: () => number; readonly warnOnce: WarnOnce }
  readonly #files = new Map<string, WatchedFile<string>>()

  constructor(tools: { readonly now: () => number; readonly warnOnce: WarnOnce }) {
    this.#tools = tools
  }

  /** undefined: a file is not there, or holds nothing. */
  async credentials(files: CredentialFiles): Promise<Credentials | undefined> {
    const { username, passwordFile, tokenFile, tokenKind = 'identityToken' } = files
    if (username !== undefined && passwordFile !== undefined) {
      const password = await this.#read('password', passwordFile)
      return password === undefined ? undefined : { kind: 'basic', username, password }
    }
    if (tokenFile === undefined) return undefined
    const token = await this.#read('token', tokenFile)
    return token === undefined ? undefined : { kind: tokenKind, token }
  }

  #read(kind: keyof typeof PARSERS, file: string): Promise<string | undefined> {
    const key = `${kind} ${file}`
    const options = { file, limitBytes: MAX_SECRET_BYTES, parse: PARSERS[kind], ...this.#tools }
    const kept = this.#files.get(key) ?? new WatchedFile(options)
    this.#files.set(key, kept)
    return kept.read()
  }
}

/** Editors and `echo` end a file with a line break; no password does. */
function parsePassword(text: string): string {
  const password = text.replace(/[\r\n]+$/, '')
  if (password === '') throw new ResolveError('CONFIG_INVALID', 'it is empty')
  return password
}

/** A token goes into a header, where only this can stand. */
function parseToken(text: string): string {
  const token = text.trim()
  if (token === '') throw new ResolveError('CONFIG_INVALID', 'it is empty')
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ResolveError('CONFIG_INVALID', 'not a token: write it on one line, without spaces')
  }
  return token
}

const PARSERS = { password: parsePassword, token: parseToken }

type Pairs = readonly (readonly [key: string, credentials: Credentials])[]

/** Image pull secrets (`.dockerconfigjson`, or the older `.dockercfg`) as files. */
export class PullSecrets {
  readonly #files: readonly WatchedFile<Pairs>[]
  #pairs: readonly (Pairs | undefined)[] = []
  #keyring = new Keyring([])

  constructor(
    files: readonly string[],
    tools: { readonly now: () => number; readonly warnOnce: WarnOnce },
  ) {
    this.#files = files.map(
      (file) =>
        new WatchedFile({
          file,
          limitBytes: MAX_AUTHS_BYTES,
          // The kubelet runs no helper that a secret names.
          parse: (text, note) => parseDockerAuths(text, note).auths,
          ...tools,
        }),
    )
  }

  /** All secrets count as one, as in the kubelet: the key that says most wins, then the first file. */
  async credentials(host: string, repository: string): Promise<Credentials | undefined> {
    const pairs = await Promise.all(this.#files.map((file) => file.read()))
    if (pairs.some((each, index) => each !== this.#pairs[index])) {
      this.#pairs = pairs
      this.#keyring = new Keyring(pairs.flatMap((each) => each ?? []))
    }
    return this.#keyring.find(host, repository)
  }
}
