import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../concurrency/clock.ts'
import { messageOf } from '../errors.ts'
import { type Fields, fieldsOf } from '../json.ts'
import type { Metrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { type Config, fieldsThat, type Place, valueAt } from './config.ts'
import { ConfigError, formatProblem } from './diagnostics.ts'
import type { LoadedConfig } from './load.ts'

interface WatchOptions {
  /** What the service was started with; its interval and fingerprint are where the watch starts from. */
  readonly started: LoadedConfig
  /** Reads it all again. */
  readonly load: () => Promise<LoadedConfig>
  readonly core: {
    readonly metrics: Pick<Metrics, 'configuration'>
    /** Puts a good configuration into force; when it throws, the former one stays. */
    reconfigure(to: Config): void
  }
  /** Runs a reload that SIGHUP asked for, and tells the service manager about it. */
  readonly announce: (work: () => Promise<void>) => Promise<void>
  readonly clock: Pick<Clock, 'after'>
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Emits SIGHUP. */
  readonly signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>
}

/** A file that is being written is read half: it counts once it says the same twice, this far apart. */
const SETTLE_MS = 200
/** After so many reads a file that keeps changing counts as it is. */
const MAX_LOOKS = 10

/**
 * The configuration in force: what the service was started with, and what was changed in its files since,
 * as far as a running service can take it over. The files are read every `reloadInterval` (0: never), and
 * at once on SIGHUP, which by itself would end the process. A bad or missing file changes nothing; its
 * problems are logged once for as long as they are the same.
 */
export class ConfigWatch {
  readonly #options: WatchOptions
  readonly #onSignal = (): void => void this.#reload()
  #config: Config
  /** The last good one that was read. */
  #current: LoadedConfig
  #lastSeen: string
  #stopped = false
  #cancel: (() => void) | undefined
  #wake: (() => void) | undefined

  constructor(options: WatchOptions) {
    this.#options = options
    this.#config = options.started.config
    this.#current = options.started
    this.#lastSeen = options.started.fingerprint
  }

  get config(): Config {
    return this.#config
  }

  start(): void {
    this.#schedule()
    this.#options.signals.on('SIGHUP', this.#onSignal)
  }

  close(): void {
    this.#options.signals.off('SIGHUP', this.#onSignal)
    this.#stopped = true
    this.#cancel?.()
    this.#wake?.()
  }

  async #reload(): Promise<void> {
    const { announce, logger } = this.#options
    if (this.#config.file === undefined) {
      logger.warn('SIGHUP: there is no configuration file to read')
      return
    }
    await announce(() =>
      this.#look(true).catch((err: unknown) => logger.error({ err }, 'unexpected error')),
    )
  }

  #schedule(): void {
    const { file } = this.#config
    const { reloadIntervalMs } = this.#current.config
    if (this.#stopped || file === undefined || reloadIntervalMs === 0) return
    this.#cancel = this.#options.clock.after(reloadIntervalMs, () => {
      void this.#look(false).then(() => this.#schedule())
    })
  }

  /** @param isAsked also log that nothing has changed: after SIGHUP silence would pass for success */
  async #look(isAsked: boolean): Promise<void> {
    const { core, logger } = this.#options
    const { file } = this.#config
    const seen = await this.#settled()
    const isNew = seen.key !== this.#lastSeen
    if (this.#stopped || !(isNew || isAsked)) return
    this.#lastSeen = seen.key
    if (seen.key === this.#current.fingerprint) {
      if (isNew) logger.info({ file }, 'the configuration file is again the one in force')
      else logger.info({ file }, 'configuration unchanged')
      core.metrics.configuration.lastReloadFailed = false
      return
    }
    try {
      const next = seen.config()
      assertSafe(file ?? '', this.#current, next)
      this.#take(next)
      logger.info({ file }, 'configuration reloaded')
      core.metrics.configuration.lastReloadFailed = false
    } catch (thrown) {
      logger.error(
        { file, problems: problemsOf(thrown) },
        'configuration not reloaded; the last good one stays',
      )
      core.metrics.configuration.lastReloadFailed = true
    }
  }

  #take(next: LoadedConfig): void {
    const { core, logger, started } = this.#options
    const { file } = this.#config
    const { config, warnings } = next
    core.reconfigure(config)
    this.#current = next
    for (const warning of warnings) logger.warn({ file }, warning)
    const fields = fieldsForNextStart(started.config, config)
    if (fields.length > 0) logger.warn({ file, fields }, 'these fields wait for a restart')
    this.#config = takenOver(started.config, config)
  }

  async #settled(): Promise<Seen> {
    const { load } = this.#options
    let seen = await readSeen(load)
    for (let looks = 1; seen.key !== this.#lastSeen && looks < MAX_LOOKS; looks += 1) {
      if (!this.#stopped) await this.#pause()
      if (this.#stopped) return seen
      const before = seen.key
      seen = await readSeen(load)
      if (seen.key === before) return seen
    }
    return seen
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(SETTLE_MS, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** @returns what is in force: the next one, but for what is read once */
function takenOver(started: Config, next: Config): Config {
  const { cri, criExpected, file } = started
  const inForce: Fields = { ...next, cri, criExpected, file }
  const whole = READ_ONCE.reduce(
    (fields, place) => withValue(fields, place.steps, valueAt(started, place)),
    inForce,
  )
  return whole as unknown as Config
}

function withValue(fields: Fields, [step = '', ...below]: Place['steps'], value: unknown): Fields {
  const inner = below.length === 0 ? value : withValue(fieldsOf(fields[step]), below, value)
  return { ...fields, [step]: inner }
}

/**
 * A start leaves out what cannot be read. In a running service that would take registries away, and its
 * images would come from where `mirrorsOnly` forbade it.
 */
function assertSafe(file: string, current: LoadedConfig, next: LoadedConfig): void {
  const known = new Set(current.broken)
  const problems = next.broken.filter((problem) => !known.has(problem))
  if (next.blank && !current.blank) {
    problems.push('it is empty; restart the service if it is to run without a configuration')
  }
  if (problems.length === 0) return
  throw new ConfigError(
    file,
    problems.map((message) => ({ line: 0, path: '', message })),
  )
}

interface Seen {
  /** The same for the same content, or for the same reasons why it cannot be used. */
  readonly key: string
  /** @throws what the loading threw */
  config(): LoadedConfig
}

async function readSeen(load: () => Promise<LoadedConfig>): Promise<Seen> {
  try {
    const loaded = await load()
    return { key: loaded.fingerprint, config: () => loaded }
  } catch (thrown) {
    return {
      key: problemsOf(thrown).join('\n'),
      config: () => {
        throw thrown
      },
    }
  }
}

function problemsOf(thrown: unknown): readonly string[] {
  if (thrown instanceof ConfigError) {
    return thrown.problems.map((problem) => formatProblem(thrown.file, problem))
  }
  return [messageOf(thrown)]
}

/** What is opened or handed out once. The registries of a portoshim.yaml are not. */
const READ_ONCE: readonly Place[] = [
  ...fieldsThat('restart'),
  { name: 'portoshim', steps: ['pauseImage'] },
]

/**
 * Fields that a running service does not take over from a changed file.
 *
 * @param started what the service was started with
 * @returns their names, in which the two differ; names alone, since some are secrets
 */
export function fieldsForNextStart(started: Config, next: Config): readonly string[] {
  const differing = READ_ONCE.filter(
    (place) => !isDeepStrictEqual(valueAt(started, place), valueAt(next, place)),
  ).map(({ name }) => name)
  return isCriMoved(started, next) ? ['cri', ...differing] : differing
}

/** A runtime that was detected, not configured, comes and goes with its socket: the file did not change. */
function isCriMoved({ cri: before }: Config, { cri: after }: Config): boolean {
  return before !== undefined && after !== undefined && before !== after
}
