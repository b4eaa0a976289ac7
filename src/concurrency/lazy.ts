import type { Clock } from './clock.ts'

interface Closable {
  close(): unknown
  /** Resolves when what is under way has ended, and nothing new is to come. Absent: nothing is waited for. */
  retire?(): Promise<void>
}

/**
 * Opened at its first use that succeeds, and closed only if that ever came. The libraries that speak
 * to registries and runtimes take as long to load as everything else, and HTTP need not wait for them.
 */
export class Lazy<T extends Closable> {
  readonly #open: () => Promise<T>
  #opened: Promise<T> | undefined

  constructor(open: () => Promise<T>) {
    this.#open = open
  }

  get(): Promise<T> {
    if (this.#opened !== undefined) return this.#opened
    const opened = this.#open()
    this.#opened = opened
    opened.catch(() => {
      this.#opened = undefined
    })
    return opened
  }

  async retire(): Promise<void> {
    await (await this.#opened)?.retire?.()
  }

  async close(): Promise<void> {
    await (await this.#opened)?.close()
  }
}

export interface ReloadableOptions {
  readonly clock: Clock
  /** Callers that hold an old one have this long to begin with it; then it is retired, and closed. */
  readonly graceMs: number
}

/** One that a new configuration may replace while it is in use. */
export class Reloadable<T extends Closable> {
  readonly #open: () => Promise<T>
  readonly #options: ReloadableOptions
  readonly #retired = new Map<Lazy<T>, () => void>()
  #current: Lazy<T>

  /** @param open called anew for each replacement */
  constructor(open: () => Promise<T>, options: ReloadableOptions) {
    this.#open = open
    this.#options = options
    this.#current = new Lazy(open)
  }

  get(): Promise<T> {
    return this.#current.get()
  }

  replace(): void {
    const { clock, graceMs } = this.#options
    const old = this.#current
    this.#current = new Lazy(this.#open)
    const cancel = clock.after(graceMs, () => {
      const ending = old.retire().then(() => old.close())
      // One that could not be opened has nothing to close.
      ending.catch(() => {}).finally(() => this.#retired.delete(old))
    })
    this.#retired.set(old, cancel)
  }

  async close(): Promise<void> {
    for (const cancel of this.#retired.values()) cancel()
    await Promise.all([...this.#retired.keys(), this.#current].map((each) => each.close()))
  }
}
