import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from './config/config.ts'
import { findConfigFile } from './config/files.ts'
import { type LoadedConfig, loadConfig } from './config/load.ts'
import { watchConfig } from './config/watch.ts'
import { type Core, createCore, type NodeRuntime } from './core.ts'
import { type CriDoor, openCriDoor } from './cri/door.ts'
import { toResolveError } from './errors.ts'
import { buildApp } from './http/app.ts'
import { listenHttp } from './http/listen.ts'
import type { DoorState } from './http/types.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'

/** What calls under way get when the service is told to end; systemd kills after 90 s. */
const GRACE_MS = 10_000
const RUNTIME_POLL_MS = 500

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
    await daemon.open()
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
  readonly #stopped = new AbortController()
  readonly #closers: (() => Promise<unknown>)[] = []
  #config: Config
  #cri: DoorState = { door: 'cri', open: false, reason: 'starting' }

  constructor(loaded: LoadedConfig, logger: Logger) {
    this.#loaded = loaded
    this.#config = loaded.config
    this.#logger = logger
    this.#core = createCore(loaded.config, logger)
  }

  async open(): Promise<void> {
    await this.#openHttp()
    const { runtime } = this.#core
    if (runtime === undefined) {
      this.#logger.warn(
        'no CRI runtime is on this machine: serving HTTP alone; set cri: to use one',
      )
    } else {
      this.#closers.push(this.#openCri(runtime))
    }
    this.#watch()
    this.#logStats()
  }

  /** In the reverse order of opening. */
  async close(): Promise<void> {
    this.#stopped.abort()
    for (const close of this.#closers.reverse()) await close()
    await this.#core.close()
  }

  async #openHttp(): Promise<void> {
    const app = await buildApp({
      answers: this.#core.answers,
      readiness: { check: async () => this.#doors() },
      logger: this.#logger,
    })
    const address = await listenHttp(app, this.#config.http.listen)
    this.#closers.push(() => app.close())
    this.#logger.info({ address }, 'HTTP is served')
  }

  /** Without a runtime on the machine no CRI door is asked for. */
  async #doors(): Promise<readonly DoorState[]> {
    const http: DoorState = { door: 'http', open: true }
    const { runtime } = this.#core
    if (runtime === undefined) return [http]
    if (this.#cri.open && !(await runtime.cri.ready())) {
      const reason = `the runtime at ${this.#config.cri} does not answer`
      return [http, { door: 'cri', open: false, reason }]
    }
    return [http, this.#cri]
  }

  /** @returns what closes it, whether or not it has opened by then */
  #openCri(runtime: NodeRuntime): () => Promise<void> {
    const opening = this.#tryCri(runtime).catch((thrown: unknown) => {
      const { message: reason } = toResolveError(thrown)
      this.#cri = { door: 'cri', open: false, reason }
      this.#logger.error({ reason }, 'the CRI socket is not served; HTTP goes on')
      return undefined
    })
    return async () => {
      const door = await opening
      await door?.close({ graceMs: GRACE_MS })
    }
  }

  async #tryCri(runtime: NodeRuntime): Promise<CriDoor | undefined> {
    const { cri: runtimeSocket = '', force, shim: path, timeoutMs } = this.#config
    if (!force && !(await this.#runtimeAnswers(runtime, runtimeSocket))) return undefined
    const door = await openCriDoor({
      path,
      runtimeSocket,
      resolver: this.#core.resolver,
      answers: this.#core.answers,
      runtime: runtime.cri,
      names: runtime.names,
      onResolveError: () => this.#config.onResolveError,
      timeoutMs,
      logger: this.#logger,
    })
    this.#cri = { door: 'cri', open: true }
    this.#logger.info({ shim: path, cri: runtimeSocket }, 'CRI is served')
    return door
  }

  /** Waits for it. @returns false when the service ended first */
  async #runtimeAnswers(runtime: NodeRuntime, socket: string): Promise<boolean> {
    for (let waits = 0; !this.#stopped.signal.aborted; waits += 1) {
      if (await runtime.cri.ready()) return true
      const reason = `the runtime at ${socket} does not answer yet`
      this.#cri = { door: 'cri', open: false, reason }
      if (waits === 0) this.#logger.warn({ cri: socket }, `${reason}; waiting for it`)
      await delay(RUNTIME_POLL_MS, undefined, this.#stopped).catch(() => {})
    }
    return false
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

  #watch(): void {
    const { file } = this.#config
    if (file === undefined) return
    const watcher = watchConfig({
      file,
      current: this.#loaded,
      logger: this.#logger,
      onConfig: ({ config }) => {
        this.#core.reconfigure(config)
        this.#config = { ...this.#config, onResolveError: config.onResolveError }
      },
    })
    this.#closers.push(async () => watcher.stop())
  }
}

function ended(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
}
