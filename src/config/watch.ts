import type { Logger } from '../telemetry/logger.ts'
import { readConfigFile } from './files.ts'
import { fingerprintOf, type LoadedConfig, parseConfig } from './load.ts'
import { ConfigError, formatProblem } from './problem.ts'

export interface WatchOptions {
  readonly file: string
  /** What is in force; its interval and fingerprint are where the watch starts from. */
  readonly current: LoadedConfig
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** Puts a good configuration into force; when it throws, the former one stays. */
  readonly onConfig: (next: LoadedConfig) => void | Promise<void>
  readonly read?: (file: string) => Promise<string>
  readonly parse?: (text: string) => LoadedConfig
  /** Runs something once, later; returns what calls it off. */
  readonly after?: (ms: number, run: () => void) => () => void
}

export interface ConfigWatch {
  /** Looks at the file now, whatever the interval is. */
  look(): Promise<void>
  stop(): void
}

/**
 * Reads the file again every `reloadInterval` (0: never) and hands over what changed. A bad or
 * missing file changes nothing; its problems are logged once for each content.
 */
export function watchConfig(options: WatchOptions): ConfigWatch {
  const { file, logger, onConfig, read = readConfigFile, after = afterTimeout } = options
  const parse = options.parse ?? ((text) => parseConfig(text, { file }))
  let current = options.current
  let lastSeen = current.fingerprint
  let stopped = false
  let cancel: (() => void) | undefined

  function schedule(): void {
    const { reloadIntervalMs } = current.config
    if (!stopped && reloadIntervalMs > 0) cancel = after(reloadIntervalMs, () => void poll())
  }

  async function poll(): Promise<void> {
    await look()
    schedule()
  }

  async function look(): Promise<void> {
    const seen = await readSeen(file, read)
    if (stopped || seen.key === lastSeen) return
    lastSeen = seen.key
    if (seen.key === current.fingerprint) {
      logger.info({ file }, 'the configuration file is again the one in force')
      return
    }
    try {
      const next = parse(seen.text())
      await onConfig(next)
      current = next
      logger.info({ file }, 'configuration reloaded')
    } catch (thrown) {
      logger.error(
        { file, problems: problemsOf(file, thrown) },
        'configuration not reloaded; the last good one stays',
      )
    }
  }

  schedule()
  return {
    look,
    stop() {
      stopped = true
      cancel?.()
    },
  }
}

interface Seen {
  /** The same for the same content, or for the same reason why there is none. */
  readonly key: string
  /** @throws what the reading threw */
  text(): string
}

async function readSeen(file: string, read: (file: string) => Promise<string>): Promise<Seen> {
  try {
    const text = await read(file)
    return { key: fingerprintOf(text), text: () => text }
  } catch (thrown) {
    return {
      key: problemsOf(file, thrown).join('\n'),
      text: () => {
        throw thrown
      },
    }
  }
}

function problemsOf(file: string, thrown: unknown): readonly string[] {
  if (thrown instanceof ConfigError) {
    return thrown.problems.map((problem) => formatProblem(file, problem))
  }
  return [thrown instanceof Error ? thrown.message : String(thrown)]
}

function afterTimeout(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  timer.unref()
  return () => clearTimeout(timer)
}
