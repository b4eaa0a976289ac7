import { Semaphore } from '../concurrency/semaphore.ts'
import { ResolveError } from '../errors.ts'
import type { Limits } from './limits.ts'

/** Milliseconds after which a refused batch may come again. */
const RETRY_AFTER_MS = 2_000

/** Runs one piece of a batch when it is its turn. */
export type BatchRunner = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>

/** The batch work of the whole process, which single questions and pulls must not wait for. */
export class Batches {
  readonly #limits: Limits
  readonly #all: Semaphore
  readonly #open = new Map<string, number>()
  #count = 0

  constructor(limits: Limits) {
    this.#limits = limits
    this.#all = new Semaphore(limits.maxBatchedReferences)
  }

  /**
   * @param client as clientKey tells them apart
   * @returns call it when the batch is over
   * @throws ResolveError TOOMANYREQUESTS with `retryAfterMs` beyond the bounds
   */
  enter(client: string): () => void {
    const { maxBatches, maxBatchesPerClient } = this.#limits
    const own = this.#open.get(client) ?? 0
    if (own >= maxBatchesPerClient) throw tooMany(`${own} of this client`)
    if (this.#count >= maxBatches) throw tooMany(`${this.#count}`)
    this.#open.set(client, own + 1)
    this.#count += 1
    return () => {
      const left = (this.#open.get(client) ?? 1) - 1
      if (left === 0) this.#open.delete(client)
      else this.#open.set(client, left)
      this.#count -= 1
    }
  }

  /** For one batch: it has no more in the line of all than others have, so that they go by turns. */
  runner(): BatchRunner {
    const own = new Semaphore(this.#limits.maxBatchedReferences)
    return (signal, work) => own.run('', signal, () => this.#all.run('', signal, work))
  }
}

function tooMany(open: string): ResolveError {
  const message = `${open} POST /resolve are being answered, which is as many as at one time`
  return new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs: RETRY_AFTER_MS })
}
