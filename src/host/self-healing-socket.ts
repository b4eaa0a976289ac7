import type { Stats } from 'node:fs'
import { lstat, unlink } from 'node:fs/promises'
import type { Server } from 'node:net'
import { toResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'

/** Clients retry for longer than that, and looking at one file costs next to nothing. */
const LOOK_MS = 2_000

export interface MadeSocket {
  readonly server: Server
  readonly file: Stats
}

export interface SelfHealingSocketOptions {
  readonly path: string
  /**
   * Listens at the path, and turns connections away once the signal is given.
   * @throws ResolveError saying what is in the way
   */
  readonly make: (closing: AbortSignal) => Promise<MadeSocket>
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Runs something once, later; returns what calls it off. Default: by the system's clock. */
  readonly after?: ((ms: number, run: () => void) => () => void) | undefined
}

/**
 * A listening socket that may lose its file while it listens: by a clean-up of /run, by another
 * program that wants the path, or that owns its folder. Clients could not connect then, and the kernel
 * says nothing. So the place is looked at every 2 s, and the socket made anew where that can be.
 * What others have put there is left alone for as long as it is of use to them.
 */
export class SelfHealingSocket {
  readonly #options: SelfHealingSocketOptions
  readonly #closing: AbortController
  #made: MadeSocket
  #unavailableReason: string | undefined
  #cancel = (): void => {}
  #looking: Promise<void> = Promise.resolve()
  #ended: Promise<unknown> = Promise.resolve()

  /** @throws what `make` throws, the first time */
  static async open(options: SelfHealingSocketOptions): Promise<SelfHealingSocket> {
    const closing = new AbortController()
    return new SelfHealingSocket(options, closing, await options.make(closing.signal))
  }

  private constructor(
    options: SelfHealingSocketOptions,
    closing: AbortController,
    made: MadeSocket,
  ) {
    this.#options = options
    this.#closing = closing
    this.#made = made
    this.#lookLater()
  }

  get path(): string {
    return this.#options.path
  }

  unavailableReason(): string | undefined {
    return this.#unavailableReason
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#cancel()
    this.#end(this.#made.server)
    // One that is being made now cannot be called back, but it is known when it is there.
    await this.#looking
    const found = await fileAt(this.path)
    if (found !== undefined && isSameFile(found, this.#made.file)) await unlink(this.path)
    await this.#ended
  }

  #lookLater(): void {
    if (this.#closing.signal.aborted) return
    const { after = later } = this.#options
    this.#cancel = after(LOOK_MS, () => {
      this.#looking = this.#look().then(() => this.#lookLater())
    })
  }

  async #look(): Promise<void> {
    const { logger, path } = this.#options
    // What cannot be looked at cannot be made anew either, and that failure has its own words.
    const found = await fileAt(path).catch(() => undefined)
    if (found === undefined || !isSameFile(found, this.#made.file)) {
      return this.#makeAnew(found === undefined ? 'removed' : 'replaced')
    }
    if (this.#unavailableReason !== undefined) {
      logger.info({ path }, 'the file of the socket is back')
    }
    this.#unavailableReason = undefined
  }

  async #makeAnew(was: 'removed' | 'replaced'): Promise<void> {
    const { logger, make, path } = this.#options
    const { signal } = this.#closing
    if (signal.aborted) return
    try {
      const made = await make(signal)
      this.#end(this.#made.server)
      this.#made = made
      if (signal.aborted) return this.#end(made.server)
      this.#unavailableReason = undefined
      logger.warn({ path, was }, 'the file of the socket was lost; it is made anew')
    } catch (thrown) {
      const reason = toResolveError(thrown).message
      if (reason !== this.#unavailableReason) {
        logger.warn({ path, reason }, 'the file of the socket is lost; trying to make it anew')
      }
      this.#unavailableReason = reason
    }
  }

  /** It listens no more; the connections that it took go on. */
  #end(server: Server): void {
    const ended = new Promise<void>((resolve) => server.close(() => resolve()))
    this.#ended = Promise.all([this.#ended, ended])
  }
}

function later(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms).unref()
  return () => clearTimeout(timer)
}

/** @returns undefined: there is none, nor perhaps a folder for it */
export async function fileAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** A socket that listens holds its inode, so no other file gets its number, also when it is deleted. */
export function isSameFile(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev
}
