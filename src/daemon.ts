import { access, constants } from 'node:fs/promises'
import type { Config } from './config/config.ts'
import { findConfigFile } from './config/files.ts'
import { type LoadedConfig, loadConfig } from './config/load.ts'
import { type ConfigWatch, watchConfig } from './config/watch.ts'
import { type Core, createCore } from './core.ts'
import { ResolveError } from './errors.ts'
import type { DoorState } from './http/types.ts'
import { KeptDoor, type OpenDoor } from './kept-door.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'

/** What calls under way get when the service is told to end; systemd kills after 90 s. */
const GRACE_MS = 10_000

export interface ServeOptions {
  /** As given on the command line. */
  readonly file: string | undefined
}

/** Opens every door that the configuration asks for, and serves until SIGTERM or SIGINT. */
export async function serve({ file: explicit }: ServeOptions): Promise<number> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const loaded = await loadConfig({ file })
  const logger = createLogger(loaded.config.debug ? 'debug' : 'info')
  for (const warning of loaded.warnings) logger.warn({ file }, warning)
  const ending = ended()
  const daemon = new Daemon(loaded, logger)
  try {
    daemon.open()
    const signal = await ending
    logger.info({ signal }, 'ending')
    return 0
  } finally {
    await daemon.close()
  }
}

/** A resolver for one command, without doors. */
export async function openAnswers({ file: explicit }: ServeOptions): Promise<{
  answer: Core['answers']['answer']
  close(): Promise<void>
}> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const { config } = await loadConfig({ file })
  const core = createCore(config, createLogger('silent'))
  return {
    answer: (input, options) => core.answers.answer(input, options),
    close: () => core.close(),
  }
}

class Daemon {
  readonly #loaded: LoadedConfig
  readonly #logger: Logger
  readonly #core: Core
  readonly #doors: KeptDoor[] = []
  readonly #closers: (() => Promise<unknown>)[] = []
  #config: Config

  constructor(loaded: LoadedConfig, logger: Logger) {
    this.#loaded = loaded
    this.#config = loaded.config
    this.#logger = logger
    this.#core = createCore(loaded.config, logger)
  }

  /** Neither door waits for the other: a taken HTTP address must not keep a kubelet from its images. */
  open(): void {
    this.#keep('http', () => this.#openHttp())
    this.#keep('cri', () => this.#openCri())
    this.#watch()
    this.#logStats()
  }

  /** In the reverse order of opening. */
  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
    await this.#core.close()
  }

  #keep(name: string, open: () => Promise<OpenDoor>): void {
    const door = new KeptDoor({ name, open, logger: this.#logger })
    door.keep()
    this.#doors.push(door)
    this.#closers.push(() => door.close())
  }

  async #openHttp(): Promise<OpenDoor> {
    const { buildApp } = await import('./http/app.ts')
    const { listenHttp } = await import('./http/listen.ts')
    const app = buildApp({
      answers: this.#core.answers,
      readiness: { check: () => this.#readiness() },
      logger: this.#logger,
    })
    try {
      const address = await listenHttp(app, this.#config.http.listen)
      this.#logger.info({ address }, 'HTTP is served')
      return app
    } catch (error) {
      await app.close()
      throw error
    }
  }

  async #readiness(): Promise<readonly DoorState[]> {
    const http = this.#stateOf('http')
    const socket = this.#core.runtimeSocket()
    if (socket === undefined && !this.#config.criExpected) return [http]
    const cri = this.#stateOf('cri')
    if (!cri.open || (await this.#runtimeAnswers())) return [http, cri]
    return [http, { door: 'cri', open: false, reason: `the runtime at ${socket} does not answer` }]
  }

  #stateOf(name: string): DoorState {
    const door = this.#doors.find(({ state }) => state.door === name)
    return door?.state ?? { door: name, open: false }
  }

  async #runtimeAnswers(): Promise<boolean> {
    return (await this.#core.runtime()).cri.ready()
  }

  async #openCri(): Promise<OpenDoor> {
    const runtime = await this.#core.runtime()
    const { force, shim: path, timeoutMs } = this.#config
    if (!force && !(await runtime.cri.ready())) throw await absence(runtime.path)
    const { openCriDoor } = await import('./cri/door.ts')
    const door = await openCriDoor({
      path,
      runtimeSocket: runtime.path,
      resolver: this.#core.resolver,
      answers: this.#core.answers,
      runtime: runtime.cri,
      names: runtime.names,
      onResolveError: () => this.#config.onResolveError,
      timeoutMs,
      logger: this.#logger,
    })
    this.#logger.info({ shim: path, cri: runtime.path }, 'CRI is served')
    return { close: () => door.close({ graceMs: GRACE_MS }) }
  }

  /** Only when something happened since the last time. */
  #logStats(): void {
    const { disableStats, statsLogIntervalMs } = this.#config.cache
    if (disableStats || statsLogIntervalMs === 0) return
    let last = JSON.stringify(this.#core.resolver.counts())
    const timer = setInterval(() => {
      const counts = this.#core.resolver.counts()
      if (JSON.stringify(counts) === last) return
      last = JSON.stringify(counts)
      this.#logger.info(counts, 'resolutions since the start, by source')
    }, statsLogIntervalMs)
    this.#closers.push(async () => clearInterval(timer))
  }

  /** At the interval of the file, and at once on SIGHUP, which by itself would end the process. */
  #watch(): void {
    const { file } = this.#config
    const reload = (): void => {
      if (watcher === undefined) this.#logger.warn('SIGHUP: there is no configuration file to read')
      else watcher.look().catch((err: unknown) => this.#logger.error({ err }, 'unexpected error'))
    }
    const watcher = file === undefined ? undefined : this.#watchFile(file)
    process.on('SIGHUP', reload)
    this.#closers.push(async () => {
      process.off('SIGHUP', reload)
      watcher?.stop()
    })
  }

  #watchFile(file: string): ConfigWatch {
    return watchConfig({
      file,
      current: this.#loaded,
      logger: this.#logger,
      onConfig: ({ config }) => {
        this.#core.reconfigure(config)
        this.#config = { ...this.#config, onResolveError: config.onResolveError }
      },
    })
  }
}

function ended(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
}

/** Why a runtime does not answer: nobody there, or nobody there for us. */
async function absence(socket: string): Promise<ResolveError> {
  try {
    await access(socket, constants.R_OK | constants.W_OK)
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') {
      const how = 'run as root, or as a member of its group'
      return new ResolveError('DENIED', `no right to use the runtime's socket ${socket}: ${how}`)
    }
  }
  return new ResolveError('UNAVAILABLE', `the runtime at ${socket} does not answer yet`)
}
