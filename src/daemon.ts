import { type Clock, systemClock } from './concurrency/clock.ts'
import { findConfigFile } from './config/files.ts'
import { fileWarnings, type LoadedConfig, loadConfig } from './config/load.ts'
import { ConfigMapReader } from './config/sources/image-cri-shim.ts'
import { ConfigWatch } from './config/watch.ts'
import { toResolveError } from './errors.ts'
import { DescriptorWatch } from './host/descriptors.ts'
import { IdleCollection } from './host/idle-collection.ts'
import { leaveMaglevOut, pauseUntilClient } from './host/optimizer.ts'
import { checkStateFolder } from './host/state-folder.ts'
import { createNotifier, type HandedDown, type Notifier, takeListenFds } from './host/systemd.ts'
import { keepTickShape } from './host/tick-shape.ts'
import { createCore } from './service/core.ts'
import { startCri } from './service/cri-server.ts'
import { ListenerReadiness, Listeners } from './service/listeners.ts'
import { createLogger, type LogFormat, type Logger } from './telemetry/log.ts'
import { logStats } from './telemetry/metering.ts'
import { openTracing } from './telemetry/open-tracing.ts'

/** How long the service manager waits for a runtime to appear before it starts what comes after, a kubelet. */
const READY_LIMIT_MS = 30_000

/** How long HTTP waits, at most, for the first try to open the CRI socket; a silent runtime ends it after a second. */
const CRI_FIRST_MS = 5_000

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
  keepTickShape()
  const file = await findConfigFile(explicit)
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
  for (const warning of started.warnings) logger.warn({ file }, warning)
  for (const note of started.notes) logger.info({ file }, note)
  const ending = endSignal(process)
  const { env, pid } = process
  const handedDown = takeListenFds(env, pid)
  const { unused } = handedDown
  if (unused.length > 0) logger.warn({ unused }, 'some sockets from systemd are not used')
  const notifier = createNotifier({ env, pid, log: logger })
  const closeTracing = await openTracing({ version, env, logger })
  const service = openService({ started, load, handedDown, notifier, logger })
  const memory = new IdleCollection({ clock: systemClock })
  try {
    void service.opened.then((status) => notifier.ready(status))
    void service.started.then(() => {
      leaveMaglevOut()
      pauseUntilClient()
      memory.start()
    })
    const signal = await ending
    logger.info({ signal }, 'ending')
    await notifier.stopping()
    return 0
  } finally {
    memory.close()
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
  /** What is loaded before the first call is loaded. */
  readonly started: Promise<void>
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
  const pauseImageRefresh =
    pauseImage === undefined
      ? undefined
      : new PauseImage({
          reference: pauseImage,
          answers,
          clock,
          // Before the answer expires.
          intervalMs: cache.tagTTLMs * 0.8,
          logger,
        })

  void checkStateFolder({ folder, logger })
  void snapshot.restore()
  void core.share()
  snapshot.start()
  // A kubelet waits for the CRI socket: what only others need is loaded once that is open, or cannot be yet.
  let criTried = (): void => {}
  const afterCri = new Promise<void>((resolve) => {
    criTried = resolve
  })
  const cancelWait = clock.after(CRI_FIRST_MS, criTried)
  const checks = afterCri.then(async () => {
    if (started.config.check.intervalMs === 0) return undefined
    const { startImageChecks } = await import('./service/image-checks.ts')
    return startImageChecks(started.config, core, readiness, logger)
  })
  listeners.keep('http', async (signal) => {
    await afterCri
    signal.throwIfAborted()
    const { startHttp } = await import('./service/http-server.ts')
    return startHttp({ config, core, readiness, checks, fd: handedDown.http, logger })
  })
  listeners.keep('cri', (signal) =>
    startCri({ config, core, fd: handedDown.cri, logger, signal }).finally(criTried),
  )
  void afterCri.then(async () => {
    cancelWait()
    const { file } = started.config
    for (const warning of await fileWarnings(started.config)) logger.warn({ file }, warning)
  })
  reload.start()
  const endStatsLog = logStats({ metrics, clock, intervalMs: statsIntervalMs, logger })
  descriptors.start()
  void pauseImageRefresh?.start()
  return {
    opened: listeners.settled(readiness.wanted(), READY_LIMIT_MS).then(() => listeners.status()),
    // It is opened after the CRI socket.
    started: listeners.settled(['http'], READY_LIMIT_MS),
    /** In the reverse order of opening. */
    async close() {
      pauseImageRefresh?.close()
      descriptors.close()
      endStatsLog()
      reload.close()
      const closed = listeners.close()
      // Not again for a runtime that is slow to say something.
      criTried()
      const closing = await checks
      closing?.close()
      await closed
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
