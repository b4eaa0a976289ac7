import type { SharedStoreConfig } from '../config/config.ts'
import { messageOf } from '../errors.ts'
import type { ChangedTag } from '../resolver/changed-tags.ts'
import type { OpenOptions, OpenSharedCache } from '../shared-cache/open.ts'

/** A key that is not there yet is looked for again. */
const RETRY_MS = 10_000

/** The store that the nodes of a fleet share, as the configuration has it. What speaks to it is loaded only then. */
export class ReloadableSharedCache {
  readonly #options: OpenOptions
  #config: SharedStoreConfig | undefined
  #opened: OpenSharedCache | undefined
  #cancel = (): void => {}
  #isClosed = false
  /** What was begun ends before the next begins. */
  #work: Promise<void> = Promise.resolve()

  constructor(options: OpenOptions) {
    this.#options = options
  }

  /** undefined: none is configured, or it is not open yet. */
  get cache(): OpenSharedCache['cache'] | undefined {
    return this.#opened?.cache
  }

  /** Resolves when the store that is configured is connected, or after so long; at once where none is. Never rejects. */
  async ready(limitMs: number): Promise<void> {
    await this.#work
    await this.#opened?.ready(limitMs)
  }

  /**
   * Tells the other nodes that tags changed.
   *
   * @returns whether no node takes an older answer any more; false: it is to be said again
   */
  async expire(changes: readonly ChangedTag[]): Promise<boolean> {
    // A store that is configured and not open yet may hold answers of other nodes.
    return this.#opened?.expire(changes) ?? this.#config === undefined
  }

  /** Opens that one, in the place of the former. Never rejects. */
  use(config: SharedStoreConfig | undefined): Promise<void> {
    const isSame = JSON.stringify(config) === JSON.stringify(this.#config)
    if (isSame || this.#isClosed) return this.#work
    this.#config = config
    this.#cancel()
    this.#work = this.#work.then(async () => {
      await this.#end()
      await this.#open()
    })
    return this.#work
  }

  /** Gives all claims back. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel()
    await this.#work
    await this.#end()
  }

  async #end(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.close()
  }

  async #open(): Promise<void> {
    const config = this.#config
    const { clock, logger, metrics } = this.#options
    if (config === undefined || this.#isClosed) {
      metrics.unused = 0
      return
    }
    try {
      const { openSharedCache } = await import('../shared-cache/open.ts')
      this.#opened = await openSharedCache(config, this.#options)
    } catch (thrown) {
      metrics.unused = 1
      const reason = messageOf(thrown)
      const next = `nothing is shared; looking again in ${RETRY_MS / 1_000} s`
      logger.warn({ store: config.url, reason, next }, 'could not open the shared store')
      this.#cancel = clock.after(RETRY_MS, () => {
        this.#work = this.#work.then(() => this.#open())
      })
    }
  }
}
