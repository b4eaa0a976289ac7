import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../telemetry/log.ts'
import type { Config } from './config.ts'
import { ConfigError, formatProblem } from './diagnostics.ts'
import type { LoadedConfig } from './load.ts'

interface WatchOptions {
  /** How the log calls what is watched. */
  readonly file: string
  /** What is in force; its interval and fingerprint are where the watch starts from. */
  readonly current: LoadedConfig
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** Puts a good configuration into force; when it throws, the former one stays. */
  readonly onConfig: (next: LoadedConfig) => void | Promise<void>
  /** Hears after each change whether what the files say now is in force. */
  readonly onLook?: (inForce: boolean) => void
  /** Reads it all again. */
  readonly load: () => Promise<LoadedConfig>
  /** Runs something once, later; returns what calls it off. */
  readonly after: (ms: number, run: () => void) => () => void
}

export interface ConfigWatch {
  /** Looks at the files now, whatever the interval is, and logs what it saw, be it as before. */
  look(): Promise<void>
  stop(): void
}

/** A file that is being written is read half: it counts once it says the same twice, so far apart. */
const SETTLE_MS = 200
/** Who writes on and on is not waited for. */
const MAX_LOOKS = 10

/**
 * Reads the configuration again every `reloadInterval` (0: never), with the files that it names,
 * and hands over what changed. What is bad or missing changes nothing; its problems are logged once
 * for as long as they are the same.
 */
export function watchConfig(options: WatchOptions): ConfigWatch {
  const { file, logger, onConfig, onLook, load, after } = options
  let current = options.current
  let lastSeen = current.fingerprint
  let stopped = false
  let cancel: (() => void) | undefined
  let wake: (() => void) | undefined

  function schedule(): void {
    const { reloadIntervalMs } = current.config
    if (!stopped && reloadIntervalMs > 0) cancel = after(reloadIntervalMs, () => void poll())
  }

  async function poll(): Promise<void> {
    await look(false)
    schedule()
  }

  async function settled(): Promise<Seen> {
    let seen = await readSeen(load)
    for (let looks = 1; seen.key !== lastSeen && looks < MAX_LOOKS; looks += 1) {
      if (!stopped) await pause()
      if (stopped) return seen
      const before = seen.key
      seen = await readSeen(load)
      if (seen.key === before) return seen
    }
    return seen
  }

  function pause(): Promise<void> {
    return new Promise((resolve) => {
      const call = after(SETTLE_MS, resolve)
      wake = () => {
        call()
        resolve()
      }
    })
  }

  async function look(isAsked: boolean): Promise<void> {
    const seen = await settled()
    const isNew = seen.key !== lastSeen
    if (stopped || !(isNew || isAsked)) return
    lastSeen = seen.key
    if (seen.key === current.fingerprint) {
      if (isNew) logger.info({ file }, 'the configuration file is again the one in force')
      else logger.info({ file }, 'configuration unchanged')
      onLook?.(true)
      return
    }
    try {
      const next = seen.config()
      assertSafe(file, current, next)
      await onConfig(next)
      current = next
      logger.info({ file }, 'configuration reloaded')
      onLook?.(true)
    } catch (thrown) {
      logger.error(
        { file, problems: problemsOf(thrown) },
        'configuration not reloaded; the last good one stays',
      )
      onLook?.(false)
    }
  }

  schedule()
  return {
    // Whoever sends SIGHUP waits for a word: silence would pass for consent.
    look: () => look(true),
    stop() {
      stopped = true
      cancel?.()
      wake?.()
    },
  }
}

/**
 * What a start would make the best of takes registries away from a service that runs, and its images
 * would come from where `mirrorsOnly` forbade it.
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
  return [thrown instanceof Error ? thrown.message : String(thrown)]
}

/** What is opened or handed out once; each field as it is written in the file. */
const READ_ONCE: Readonly<Record<string, (config: Config) => unknown>> = {
  shim: ({ shim }) => shim,
  force: ({ force }) => force,
  debug: ({ debug }) => debug,
  image: ({ image }) => image,
  version: ({ version }) => version,
  timeout: ({ timeoutMs }) => timeoutMs,
  'cache.statsLogInterval': ({ cache }) => cache.statsLogIntervalMs,
  'cache.disableStats': ({ cache }) => cache.disableStats,
  portoshim: ({ pauseImage }) => pauseImage,
  'http.listen': ({ http }) => http.listen,
  'http.token': ({ http }) => http.token,
  'http.tokenFile': ({ http }) => http.tokenFile,
  'http.tls': ({ http }) => http.tls,
  'http.rateLimit': ({ http }) => http.rateLimit,
  'mirror.enabled': ({ mirror }) => mirror.enabled,
  'mirror.blobs': ({ mirror }) => mirror.blobs,
  'mirror.blobsPerClient': ({ mirror }) => mirror.blobsPerClient,
}

/**
 * Fields that a running service does not take over from a changed file.
 *
 * @param started what the service was started with
 * @returns their names, in which the two differ; names alone, since some are secrets
 */
export function fieldsForNextStart(started: Config, next: Config): readonly string[] {
  const differing = Object.entries(READ_ONCE)
    .filter(([, read]) => !isDeepStrictEqual(read(started), read(next)))
    .map(([field]) => field)
  return isCriMoved(started, next) ? ['cri', ...differing] : differing
}

/** A runtime that nobody named comes and goes with its socket, which is no change of the file. */
function isCriMoved({ cri: before }: Config, { cri: after }: Config): boolean {
  return before !== undefined && after !== undefined && before !== after
}
