import type { Clock } from '../concurrency/clock.ts'
import type { Config } from '../config/config.ts'
import type { LoadedConfig } from '../config/load.ts'
import { type ConfigWatch, fieldsForNextStart, watchConfig } from '../config/watch.ts'
import type { Metrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import type { SignalSource } from './end-signal.ts'

interface ConfigReloadOptions {
  /** What the service was started with. */
  readonly started: LoadedConfig
  /** Reads it all again. */
  readonly load: () => Promise<LoadedConfig>
  readonly core: { readonly metrics: Pick<Metrics, 'configuration'>; reconfigure(to: Config): void }
  /** Runs the work, and lets the service manager know of it. */
  readonly announce: (work: () => Promise<void>) => Promise<void>
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Where SIGHUP comes from. */
  readonly signals: SignalSource
}

/**
 * The configuration in force: what the service was started with, and what was changed in its file
 * since, as far as a running service can take that over. The file is read at its own interval, and
 * at once on SIGHUP, which by itself would end the process.
 */
export class ConfigReload {
  readonly #options: ConfigReloadOptions
  readonly #onSignal = (): void => void this.#reload()
  #config: Config
  #watch: ConfigWatch | undefined

  constructor(options: ConfigReloadOptions) {
    this.#options = options
    this.#config = options.started.config
  }

  get config(): Config {
    return this.#config
  }

  start(): void {
    const { file } = this.#config
    if (file !== undefined) this.#watch = this.#watchFile(file)
    this.#options.signals.on('SIGHUP', this.#onSignal)
  }

  close(): void {
    this.#options.signals.off('SIGHUP', this.#onSignal)
    this.#watch?.stop()
  }

  async #reload(): Promise<void> {
    const { announce, logger } = this.#options
    const watch = this.#watch
    if (watch === undefined) {
      logger.warn('SIGHUP: there is no configuration file to read')
      return
    }
    await announce(() =>
      watch.look().catch((err: unknown) => logger.error({ err }, 'unexpected error')),
    )
  }

  #watchFile(file: string): ConfigWatch {
    const { clock, core, load, logger, started } = this.#options
    return watchConfig({
      file,
      current: started,
      load,
      logger,
      after: (ms, run) => clock.after(ms, run),
      onLook: (inForce) => {
        core.metrics.configuration.lastReloadFailed = !inForce
      },
      onConfig: ({ config, warnings }) => {
        core.reconfigure(config)
        for (const warning of warnings) logger.warn({ file }, warning)
        const fields = fieldsForNextStart(started.config, config)
        if (fields.length > 0) logger.warn({ file, fields }, 'these fields wait for a restart')
        this.#config = takenOver(this.#config, config)
      },
    })
  }
}

/** Sockets, the runtime and the state folder stay what they were until the next start. */
function takenOver(current: Config, next: Config): Config {
  const { cache, hostsDir, keychain, mirrorsOnly, onResolveError, proxy, pull, realms } = next
  const { hedgeDelayMs, probeBudgetMs, registries, reloadIntervalMs, verifyDigest } = next
  const pace = { hedgeDelayMs, probeBudgetMs, reloadIntervalMs }
  const asked = { hostsDir, mirrorsOnly, registries, verifyDigest, ...pace }
  return { ...current, ...asked, cache, keychain, onResolveError, proxy, pull, realms }
}
