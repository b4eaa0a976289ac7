import { ResolveError } from '../errors.ts'

/** At one time; more are not started, and not missed. */
const MAX_RUNNING = 16

/** Work that nobody waits for: its errors interest nobody, and it ends with the service. */
export class Background {
  readonly #closing = new AbortController()
  #running = 0

  start(work: (signal: AbortSignal) => Promise<unknown>): void {
    const { signal } = this.#closing
    if (this.#running >= MAX_RUNNING || signal.aborted) return
    this.#running += 1
    const done = (): void => {
      this.#running -= 1
    }
    work(signal).then(done, done)
  }

  close(): void {
    this.#closing.abort(new ResolveError('CANCELED', 'the service ends'))
  }
}
