import { access, constants } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { fieldsForNextStart } from './config/at-start.ts'
import type { Config } from './config/config.ts'
import { findConfigFile } from './config/files.ts'
import { type LoadedConfig, loadConfig } from './config/load.ts'
import { namedFileWarnings } from './config/named-files.ts'
import { type ConfigWatch, watchConfig } from './config/watch.ts'
import { ResolveError } from './errors.ts'
import type { DoorState } from './http/types.ts'
import { systemClock } from './resolver/clock.ts'
import { type Core, createCore } from './service/core.ts'
import { KeptDoor, type OpenDoor } from './service/kept-door.ts'
import { WarmImage } from './service/warm-image.ts'
import { type HandedDown, takeListenFds } from './systemd/listen-fds.ts'
import { createNotifier, type Notifier } from './systemd/notify.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'

/** What calls under way get when the service is told to end; the unit kills after 90 s. */
const GRACE = { graceMs: 10_000, pullGraceMs: 60_000 }
/** So long the service manager waits with what comes after us, a kubelet, for a runtime to appear. */
const READY_LIMIT_MS = 30_000

export interface ServeOptions {
  /** As given on the command line. */
  readonly file: string | undefined
  /** A portoshim.yaml, from the command line. */
  readonly portoshim?: string
}

/** Opens every door that the configuration asks for, and serves until SIGTERM or SIGINT. */
export async function serve({
  version,
  file: explicit,
  portoshim,
}: ServeOptions & { readonly version: string }): Promise<number> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const load = (): Promise<LoadedConfig> => loadConfig({ file, portoshim })
  const loaded = await load()
  const logger = createLogger(loaded.config.debug ? 'debug' : 'info')
  logger.info({ version, file: file ?? 'none, so the defaults hold' }, 'starting')
  const warnings = [...loaded.warnings, ...(await namedFileWarnings(loaded.config))]
  for (const warning of warnings) logger.warn({ file }, warning)
  const ending = ended()
  const { env, pid } = process
  const handedDown = takeListenFds(env, pid)
  const { unused } = handedDown
  if (unused.length > 0) logger.warn({ unused }, 'no door is for some of the sockets from systemd')
  const notifier = createNotifier({ env, pid, log: logger })
  const daemon = new Daemon(loaded, logger, handedDown, notifier, load)
  try {
    const opened = daemon.open()
    void opened.then((status) => notifier.ready(status))
    const signal = await ending
    logger.info({ signal }, 'ending')
    await notifier.stopping()
    return 0
  } finally {
    await daemon.close()
  }
}

/** A resolver for one command, without doors. */
export async function openAnswers({ file: explicit, portoshim }: ServeOptions): Promise<{
  answer: Core['answers']['answer']
  close(): Promise<void>
}> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const { config } = await loadConfig({ file, portoshim })
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
  readonly #handedDown: HandedDown
  readonly #notifier: Notifier
  readonly #load: () => Promise<LoadedConfig>
  readonly #doors: KeptDoor[] = []
  readonly #closers: (() => Promise<unknown>)[] = []
  #config: Config

  constructor(
    loaded: LoadedConfig,
    logger: Logger,
    handedDown: HandedDown,
    notifier: Notifier,
    load: () => Promise<LoadedConfig>,
  ) {
    this.#loaded = loaded
    this.#load = load
    this.#handedDown = handedDown
    this.#notifier = notifier
    this.#config = loaded.config
    this.#logger = logger
    this.#core = createCore(loaded.config, logger)
  }

  /**
   * Neither door waits for the other: a taken HTTP address must not keep a kubelet from its images.
   *
   * @returns what to say of the doors, once those are open that the configuration asks for, or their
   * time is up
   */
  async open(): Promise<string> {
    void this.#core.keeper.restore()
    this.#core.keeper.start()
    const http = this.#keep('http', () => this.#openHttp())
    const cri = this.#keep('cri', () => this.#openCri())
    this.#watch()
    this.#logStats()
    this.#warm()
    const needed = this.#isCriWanted() ? [http, cri] : [http]
    const limit = new AbortController()
    const timeUp = delay(READY_LIMIT_MS, undefined, { signal: limit.signal, ref: false })
    await Promise.race([Promise.all(needed), timeUp.catch(() => {})])
    limit.abort()
    return this.#doors
      .map(({ state: { door, open, reason } }) => (open ? `${door} is open` : `${door}: ${reason}`))
      .join('; ')
  }

  /** In the reverse order of opening. */
  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
    await this.#core.keeper.close()
    await this.#core.close()
  }

  #keep(name: string, open: () => Promise<OpenDoor>): Promise<void> {
    const door = new KeptDoor({ name, open, logger: this.#logger })
    this.#doors.push(door)
    this.#closers.push(() => door.close())
    return door.keep()
  }

  #isCriWanted(): boolean {
    return this.#config.criExpected || this.#core.runtimeSocket() !== undefined
  }

  async #openHttp(): Promise<OpenDoor> {
    const { openHttpDoor } = await import('./service/http-door.ts')
    return openHttpDoor({
      config: () => this.#config,
      core: this.#core,
      readiness: { check: () => this.#readiness() },
      fd: this.#handedDown.http,
      logger: this.#logger,
    })
  }

  async #readiness(): Promise<readonly DoorState[]> {
    const http = this.#stateOf('http')
    if (!this.#isCriWanted()) return [http]
    const socket = this.#core.runtimeSocket()
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
    const { force, shim: path, timeoutMs, version } = this.#config
    const fd = this.#handedDown.cri
    if (!force && !(await runtime.cri.ready())) throw await absence(runtime.path)
    const { openCriDoor } = await import('./cri/door.ts')
    const door = await openCriDoor({
      path,
      fd,
      runtimeSocket: runtime.path,
      version,
      resolver: this.#core.resolver,
      answers: this.#core.answers,
      runtime: runtime.cri,
      names: runtime.names,
      aliases: runtime.aliases,
      byDigest: () => this.#config.pull.byDigest,
      onResolveError: () => this.#config.onResolveError,
      timeoutMs,
      logger: this.#logger,
      meters: this.#core.meters,
    })
    this.#logger.info({ shim: path, cri: runtime.path }, 'CRI is served')
    return { close: () => door.close(GRACE) }
  }

  #warm(): void {
    const { cache, pauseImage: reference } = this.#config
    if (reference === undefined) return
    const { answers } = this.#core
    const intervalMs = cache.tagTtlMs * 0.8
    const logger = this.#logger
    const warm = new WarmImage({ reference, answers, clock: systemClock, intervalMs, logger })
    void warm.start()
    this.#closers.push(async () => warm.close())
  }

  /** Only when something happened since the last time. */
  #logStats(): void {
    const { disableStats, statsLogIntervalMs } = this.#config.cache
    if (disableStats || statsLogIntervalMs === 0) return
    const counts = () =>
      Object.fromEntries(
        Object.entries(this.#core.meters.resolutions).map(([source, { count }]) => [source, count]),
      )
    let last = JSON.stringify(counts())
    const timer = setInterval(() => {
      const now = counts()
      if (JSON.stringify(now) === last) return
      last = JSON.stringify(now)
      this.#logger.info(now, 'resolutions since the start, by source')
    }, statsLogIntervalMs)
    this.#closers.push(async () => clearInterval(timer))
  }

  /** At the interval of the file, and at once on SIGHUP, which by itself would end the process. */
  #watch(): void {
    const { file } = this.#config
    const reload = async (): Promise<void> => {
      if (watcher === undefined) {
        this.#logger.warn('SIGHUP: there is no configuration file to read')
        return
      }
      const look = (): Promise<void> =>
        watcher.look().catch((err: unknown) => this.#logger.error({ err }, 'unexpected error'))
      await this.#notifier.reloading(look)
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
      load: this.#load,
      logger: this.#logger,
      onLook: (inForce) => {
        this.#core.meters.configuration.lastReloadFailed = !inForce
      },
      onConfig: ({ config, warnings }) => {
        this.#core.reconfigure(config)
        for (const warning of warnings) this.#logger.warn({ file }, warning)
        const fields = fieldsForNextStart(this.#loaded.config, config)
        if (fields.length > 0)
          this.#logger.warn({ file, fields }, 'these fields wait for a restart')
        // Sockets, the runtime and the state folder stay what they were until the next start.
        const { cache, mirrorsOnly, onResolveError, pull, registries, verifyDigest } = config
        const { keychain, proxy, realms } = config
        const changed = { cache, mirrorsOnly, onResolveError, pull, registries, verifyDigest }
        this.#config = { ...this.#config, ...changed, keychain, proxy, realms }
      },
    })
  }
}

/** The second signal, whichever it is, ends the process as if we did not know it: at once. */
function ended(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const end = (signal: NodeJS.Signals): void => {
      for (const each of ['SIGTERM', 'SIGINT'] as const) process.off(each, end)
      resolve(signal)
    }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end)
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
