import { Semaphore } from '../concurrency/semaphore.ts'
import { ClientShares } from './client-shares.ts'
import type { Limits } from './limits.ts'

/** Milliseconds after which a refused batch may come again. */
const RETRY_AFTER_MS = 2_000

/** Runs one piece of a batch when it is its turn. */
export type BatchRunner = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>

/** The batch work of the whole process, which single questions and pulls must not wait for. */
export class Batches {
  /** Of the batches that are open. */
  readonly shares: ClientShares
  readonly #atOnce: number
  readonly #all: Semaphore

  constructor({ maxBatchedReferences, maxBatches, maxBatchesPerClient }: Limits) {
    this.shares = new ClientShares({
      max: maxBatches,
      maxPerClient: maxBatchesPerClient,
      what: 'POST /resolve are being answered',
      retryAfterMs: RETRY_AFTER_MS,
    })
    this.#atOnce = maxBatchedReferences
    this.#all = new Semaphore(maxBatchedReferences)
  }

  /** For one batch: it has no more in the line of all than others have, so that they go by turns. */
  runner(): BatchRunner {
    const own = new Semaphore(this.#atOnce)
    return (signal, work) => own.run('', signal, () => this.#all.run('', signal, work))
  }
}
