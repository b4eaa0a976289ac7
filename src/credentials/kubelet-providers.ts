import type { KeychainConfig } from '../config/config.ts'
import type { Credentials } from '../registry/credentials.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import type { CredentialHelperTools } from './credential-helper.ts'
import { type ProviderConfig, parseProviderConfig } from './provider-config.ts'
import { ProviderPlugin } from './provider-plugin.ts'
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
