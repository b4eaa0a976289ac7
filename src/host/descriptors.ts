import { readdir, readFile } from 'node:fs/promises'
import { type Clock, repeat } from '../concurrency/clock.ts'
import type { Logger } from '../telemetry/log.ts'

const LOOK_EVERY_MS = 5_000
/** Of the limit: beyond it the log says so, before connections are dropped. */
const NEARLY = 0.9

/** What a process may have open; Infinity where the system does not say (proc(5), limits). */
export async function descriptorLimit(): Promise<number> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft] = /^Max open files\s+(\d+)/m.exec(text) ?? []
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
}

async function openDescriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length
}

interface DescriptorWatchOptions {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Default: of this process. */
  readonly limit?: () => Promise<number>
  readonly open?: () => Promise<number>
}

/**
 * Says in the log when descriptors run out, and when that is over. Nothing else does: where none is left
 * libuv accepts waiting connections and closes them at once, without an error (libuv, uv__emfile_trick).
 */
export class DescriptorWatch {
  readonly #options: DescriptorWatchOptions
  #cancel = (): void => {}
  /** Kept, since /proc/self/limits cannot be read when none is left. */
  #limit = Number.POSITIVE_INFINITY
  #isShort = false

  constructor(options: DescriptorWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#cancel = repeat(LOOK_EVERY_MS, this.#options.clock, () => this.look())
  }

  close(): void {
    this.#cancel()
  }

  async look(): Promise<void> {
    const { limit = descriptorLimit, logger, open = openDescriptors } = this.#options
    const now = await limit()
    if (Number.isFinite(now)) this.#limit = now
    const most = this.#limit
    // Looking takes one itself.
    const used = await open().catch(({ code }) => (code === 'EMFILE' ? most : 0))
    const isShort = used >= NEARLY * most
    if (isShort === this.#isShort) return
    this.#isShort = isShort
    if (isShort) {
      const what = 'descriptors run out, and connections are dropped: raise LimitNOFILE of the unit'
      logger.warn({ used, limit: most }, what)
    } else logger.info({ used, limit: most }, 'there are descriptors again')
  }
}
