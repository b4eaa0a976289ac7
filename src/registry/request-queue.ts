import { departure, withTimeout } from '../concurrency/abortable.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import { ResolveError } from '../errors.ts'
import { type Endpoint, endpointUrl } from './endpoint.ts'

export interface QueuedRequest {
  readonly endpoint: Endpoint
  readonly signal: AbortSignal
  readonly ticket?: Ticket
}

export interface RequestQueueOptions {
  /** Requests to one registry at a time; further ones wait, until their signal ends. */
  readonly maxConcurrent: number
  /** Of one request, from its admission. */
  readonly timeoutMs: number
}

/** Limits how many requests one registry gets at a time. */
export class RequestQueue {
  readonly #options: RequestQueueOptions
  readonly #semaphore: Semaphore

  constructor(options: RequestQueueOptions) {
    this.#options = options
    this.#semaphore = new Semaphore(options.maxConcurrent)
  }

  /** Runs work that has to end within the limit, and with the caller's signal. */
  run<T>(request: QueuedRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options
    return this.enter(request, () => withTimeout(request.signal, timeoutMs, work))
  }

  /**
   * Runs work with a limit of its own.
   *
   * @throws ResolveError DEADLINE_EXCEEDED or CANCELED when the signal ends while it waits
   */
  async enter<T>({ endpoint, signal, ticket }: QueuedRequest, work: () => Promise<T>): Promise<T> {
    const cameAt = performance.now()
    let isIn = false
    const begin = (): Promise<T> => {
      isIn = true
      return work()
    }
    try {
      return await this.#semaphore.run(endpointUrl(endpoint), signal, begin, ticket)
    } catch (thrown) {
      throw isIn ? thrown : this.#leftInLine(endpoint, performance.now() - cameAt, thrown)
    }
  }

  #leftInLine({ host }: Endpoint, waitedMs: number, reason: unknown): ResolveError {
    const { code, message } = departure(reason)
    const { maxConcurrent: most } = this.#options
    const asked = most === 1 ? '1 question at once is' : `${most} questions at once are`
    const line = `${(waitedMs / 1_000).toFixed(1)} s in line, since ${asked} what it is asked`
    return new ResolveError(code, `${host}: ${message} after ${line}`, {
      step: 'connect',
      cause: reason,
    })
  }
}
