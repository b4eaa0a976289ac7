import { type Clock, systemClock } from './concurrency/clock.ts'
import { findConfigFile } from './config/files.ts'
import { fileWarnings, type LoadedConfig, loadConfig } from './config/load.ts'
import { ConfigMapReader } from './config/sources/image-cri-shim.ts'
import { ConfigWatch } from './config/watch.ts'
import { toResolveError } from './errors.ts'
import { DescriptorWatch } from './host/descriptors.ts'
import { checkStateFolder } from './host/state-folder.ts'
import { createNotifier, type HandedDown, type Notifier, takeListenFds } from './host/systemd.ts'
import { createCore } from './service/core.ts'
import { ListenerReadiness, Listeners } from './service/listeners.ts'
import { openCriServer } from './service/servers.ts'
import { createLogger, type LogFormat, type Logger } from './telemetry/log.ts'
import { StatsLog } from './telemetry/metering.ts'
import { openTracing } from './telemetry/open-tracing.ts'

/** How long the service manager waits for a runtime to appear before it starts what comes after, a kubelet. */
const READY_LIMIT_MS = 30_000

interface ServeOptions {
  readonly version: string
  /** As given on the command line. */
  readonly file: string | undefined
  /** A portoshim.yaml, from the command line. */
  readonly portoshim?: string
  /** Of the log; absent: as standard error is. */
  readonly logFormat?: LogFormat
}

/** Opens every server that the configuration asks for, and serves until SIGTERM or SIGINT. */
export async function serve({
  version,
  file: explicit,
  portoshim,
  logFormat,
}: ServeOptions): Promise<number> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const configMaps = new ConfigMapReader({ save: true })
  const started = await loadConfig({ file, portoshim, configMaps })
  configMaps.takeNews()
  const logger = await createLogger(started.config.debug ? 'debug' : 'info', logFormat)
  const load = async (): Promise<LoadedConfig> => {
    const loaded = await loadConfig({ file, portoshim, configMaps })
    for (const problem of configMaps.takeNews()) logger.warn({ file }, problem)
    return loaded
  }
  logger.info({ version, file: file ?? 'none, so the defaults hold' }, 'starting')
  const warnings = [...started.warnings, ...(await fileWarnings(started.config))]
  for (const warning of warnings) logger.warn({ file }, warning)
  for (const note of started.notes) logger.info({ file }, note)
  const ending = endSignal(process)
  const { env, pid } = process
  const handedDown = takeListenFds(env, pid)
  const { unused } = handedDown
  if (unused.length > 0) logger.warn({ unused }, 'some sockets from systemd are not used')
  const notifier = createNotifier({ env, pid, log: logger })
  const closeTracing = await openTracing({ version, env, logger })
  const service = openService({ started, load, handedDown, notifier, logger })
  try {
    void service.opened.then((status) => notifier.ready(status))
    const signal = await ending
    logger.info({ signal }, 'ending')
    await notifier.stopping()
    return 0
  } finally {
    await service.close()
    // An export that is under way would keep the process for as long as a dead collector has to answer.
    if (!(await closeTracing())) setTimeout(() => process.exit(), 0).unref()
  }
}

interface ServiceOptions {
  readonly started: LoadedConfig
  /** Reads the configuration again. */
  readonly load: () => Promise<LoadedConfig>
  readonly handedDown: HandedDown
  readonly notifier: Notifier
  readonly logger: Logger
}

interface Service {
  /**
   * The state of the listeners, once those are open that the configuration asks for, or their time is
   * up.
   */
  readonly opened: Promise<string>
  close(): Promise<void>
}

function openService({ started, load, handedDown, notifier, logger }: ServiceOptions): Service {
  const { cache, criExpected, image: folder, pauseImage } = started.config
  const clock = systemClock
  const core = createCore(started.config, logger)
  const { answers, snapshot, metrics, runtimeSocket } = core
  const announce: Notifier['reloading'] = (work) => notifier.reloading(work)
  const signals = process
  const reload = new ConfigWatch({ started, load, core, announce, clock, logger, signals })
  const config = () => reload.config
  const listeners = new Listeners({ clock, logger })
  const readiness = new ListenerReadiness({
    listeners,
    criExpected,
    runtimeSocket,
    runtimeAnswers: async () => (await core.runtime()).cri.ready(),
  })
  const statsIntervalMs = cache.disableStats ? 0 : cache.statsLogIntervalMs
  const descriptors = new DescriptorWatch({ clock, logger })
  const statsLog = new StatsLog({ metrics, clock, intervalMs: statsIntervalMs, logger })
  const pauseImageRefresh =
    pauseImage === undefined
      ? undefined
      : new PauseImage({
          reference: pauseImage,
          answers,
          clock,
          // Before the answer expires.
          intervalMs: cache.tagTtlMs * 0.8,
          logger,
        })

  void checkStateFolder({ folder, logger })
  void snapshot.restore()
  void core.share()
  snapshot.start()
  const checks =
    started.config.check.intervalMs === 0
      ? undefined
      : import('./service/image-checks.ts').then(({ startImageChecks }) =>
          startImageChecks(started.config, core, readiness, logger),
        )
  listeners.keep('http', async () => {
    const { openHttpServer } = await import('./service/servers.ts')
    return openHttpServer({ config, core, readiness, checks, fd: handedDown.http, logger })
  })
  listeners.keep('cri', () => openCriServer({ config, core, fd: handedDown.cri, logger }))
  reload.start()
  statsLog.start()
  descriptors.start()
  void pauseImageRefresh?.start()
  return {
    opened: listeners.settled(readiness.wanted(), READY_LIMIT_MS).then(() => listeners.status()),
    /** In the reverse order of opening. */
    async close() {
      pauseImageRefresh?.close()
      descriptors.close()
      statsLog.close()
      reload.close()
      const closing = await checks
      closing?.close()
      await listeners.close()
      await snapshot.close()
      await core.close()
    },
  }
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** As a process gives them. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
}

/**
 * Resolves with the signal that ends the service. The second one, whichever it is, has its default
 * effect: the process ends at once.
 */
export function endSignal(signals: SignalSource): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const end = (signal: NodeJS.Signals): void => {
      for (const each of SIGNALS) signals.off(each, end)
      resolve(signal)
    }
    for (const each of SIGNALS) signals.on(each, end)
  })
}

interface PauseImageOptions {
  /** As people write it. */
  readonly reference: string
  readonly answers: {
    answer(input: string, options: { refresh: boolean; shared: boolean }): Promise<unknown>
  }
  readonly clock: Clock
  /** Between two questions, in milliseconds; 0: asked once. */
  readonly intervalMs: number
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/**
 * Resolves the sandbox image at the start and again before its answer expires, so that it is known when
 * every registry is down: without it a node starts no pod. A failure is logged once, until it works again.
 */
export class PauseImage {
  readonly #options: PauseImageOptions
  #cancel = (): void => {}
  #closed = false
  #failed = false

  constructor(options: PauseImageOptions) {
    this.#options = options
  }

  /** Resolves when it was asked for once. Never rejects. */
  async start(): Promise<void> {
    const { answers, clock, intervalMs, logger, reference } = this.#options
    try {
      await answers.answer(reference, { refresh: true, shared: true })
      if (this.#failed) logger.info({ reference }, 'the sandbox image is resolved again')
      this.#failed = false
    } catch (thrown) {
      const { code, message } = toResolveError(thrown)
      if (!this.#failed) {
        logger.warn({ reference, code, reason: message }, 'could not resolve the sandbox image')
      }
      this.#failed = true
    }
    if (this.#closed || intervalMs === 0) return
    this.#cancel = clock.after(intervalMs, () => void this.start())
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }
}
