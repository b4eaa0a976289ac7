import { readdir, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../concurrency/clock.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { ResolutionCache } from './cache.ts'
import { loadSnapshot, saveSnapshot } from './snapshot.ts'
import type { SnapshotScope } from './snapshot-lines.ts'

export interface CacheKeeperOptions {
  readonly cache: ResolutionCache
  /** Made when missing. */
  readonly folder: string
  /** Of the configuration in force. */
  readonly scope: () => SnapshotScope
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Between two looks at whether there is something to save. Default 5 min. */
  readonly intervalMs?: number
  /** Default: into a file. */
  readonly save?: typeof saveSnapshot
}

/** In one turn of the event loop. */
const RESTORED_AT_ONCE = 500
const FILE = 'cache.ndjson'
const INTERVAL_MS = 300_000
/** A disk that hangs must not keep the service from ending. */
const CLOSE_LIMIT_MS = 5_000
/** What a process that was killed left behind; a younger one may still be written. */
const LEFTOVER_MS = 600_000

/**
 * Lets a cache outlive its process, in one file. Nothing that goes wrong with that file is more than a
 * warning: the service then starts with an empty cache, as it does the first time.
 */
export class CacheKeeper {
  readonly #options: CacheKeeperOptions
  readonly #file: string
  #cancel: (() => void) | undefined
  #saving: Promise<void> | undefined
  #saved: number
  #warned = false

  constructor(options: CacheKeeperOptions) {
    this.#options = options
    this.#file = join(options.folder, FILE)
    this.#saved = options.cache.changes
  }

  /** Takes over what the last run left. Never rejects, and may run while questions are answered. */
  async restore(): Promise<void> {
    const { cache, logger, scope } = this.#options
    const file = this.#file
    try {
      await this.#removeLeftovers()
      const loaded = await loadSnapshot({ file, scope: scope() })
      if (loaded.state === 'absent') return
      if (loaded.state === 'damaged') return await this.#setAside(loaded.reason)
      const { where, what } = loaded.content
      // The least recently used first, so that it is the first to go.
      for (let end = Math.max(where.length, what.length); end > 0; end -= RESTORED_AT_ONCE) {
        const begin = Math.max(0, end - RESTORED_AT_ONCE)
        cache.restore({ where: where.slice(begin, end), what: what.slice(begin, end) })
        await setImmediate()
      }
      logger.info({ file, answers: where.length, digests: what.length }, 'cache restored')
    } catch (error) {
      await this.#setAside(reasonOf(error))
    }
  }

  /** Saves at intervals from now on, if there is something new. */
  start(): void {
    const { clock, intervalMs = INTERVAL_MS } = this.#options
    this.#cancel = clock.after(intervalMs, () => {
      this.start()
      void this.#save()
    })
  }

  /** Saves what is new; waits no longer than 5 s for the disk. Never rejects. */
  async close(): Promise<void> {
    this.#cancel?.()
    const { clock } = this.#options
    let cancelLimit = (): void => {}
    const limit = new Promise<void>((resolve) => {
      cancelLimit = clock.after(CLOSE_LIMIT_MS, resolve)
    })
    await Promise.race([this.#saveAll(), limit])
    cancelLimit()
  }

  /** What is being saved may lack the newest. */
  async #saveAll(): Promise<void> {
    await this.#saving
    await this.#save()
  }

  #save(): Promise<void> {
    this.#saving ??= this.#saveChanges().finally(() => {
      this.#saving = undefined
    })
    return this.#saving
  }

  async #saveChanges(): Promise<void> {
    const { cache, logger, save = saveSnapshot, scope } = this.#options
    const { changes } = cache
    if (changes === this.#saved) return
    const file = this.#file
    try {
      await save(cache.content(), { file, scope: scope() })
      this.#saved = changes
      this.#warned = false
    } catch (error) {
      if (!this.#warned) logger.warn({ file, reason: reasonOf(error) }, 'cache not saved')
      this.#warned = true
    }
  }

  /** One only: a disk that damages every file must not fill up with them. */
  async #setAside(reason: string): Promise<void> {
    const file = this.#file
    const kept = await rename(file, `${file}.damaged`).then(
      () => true,
      () => false,
    )
    this.#options.logger.warn({ file, reason, setAside: kept }, 'cache not restored')
  }

  async #removeLeftovers(): Promise<void> {
    const { clock, folder } = this.#options
    try {
      for (const name of await readdir(folder)) {
        if (!name.startsWith(`${FILE}.`) || !name.endsWith('.tmp')) continue
        const path = join(folder, name)
        const { mtimeMs } = await stat(path)
        if (clock.now() - mtimeMs > LEFTOVER_MS) await unlink(path)
      }
    } catch {
      // Another process was faster, or the folder is not there yet.
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
