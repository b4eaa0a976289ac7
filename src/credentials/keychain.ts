import type { KeychainConfig } from '../config/config.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { sameDomain } from '../registry/public-registries.ts'
import type { Logger } from '../telemetry/log.ts'
import { CredentialHelpers } from './credential-helper.ts'
import { DockerConfigFile } from './docker-config.ts'
import type { Environment } from './environment.ts'
import { KubeletProviders } from './kubelet-providers.ts'
import { Programs } from './program.ts'
import { PullSecrets } from './pull-secrets.ts'
import { SecretFiles } from './secret-file.ts'
import { WarnOnce } from './warn-once.ts'

export interface KeychainOptions {
  readonly config: KeychainConfig
  readonly logger: Pick<Logger, 'warn'>
  /** Milliseconds of a clock that nobody sets: what is kept for minutes must not be kept for hours. */
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
   * What to show to a host: the entry's own, and then nobody else is asked; else the first of Docker
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

export function openKeychain(options: KeychainOptions): OperatorKeychain {
  return new OperatorKeychain(options)
}
