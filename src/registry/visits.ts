import { departure, withTimeout } from '../concurrency/abortable.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import { ResolveError } from '../errors.ts'
import { type Endpoint, endpointUrl } from './endpoint.ts'

export interface Visitor {
  readonly endpoint: Endpoint
  readonly signal: AbortSignal
  readonly ticket?: Ticket
}

export interface VisitsOptions {
  /** At one registry at once; the others wait in line, as long as their signal lets them. */
  readonly maxConcurrent: number
  /** Of one visit, the waiting not counted. */
  readonly timeoutMs: number
}

/** Questions to registries: each waits its turn there, and has its time from then on. */
export class Visits {
  readonly #options: VisitsOptions
  readonly #gate: Semaphore

  constructor(options: VisitsOptions) {
    this.#options = options
    this.#gate = new Semaphore(options.maxConcurrent)
  }

  /** Runs work that has to end within the limit, and with the caller's signal. */
  run<T>(visitor: Visitor, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options
    return this.enter(visitor, () => withTimeout(visitor.signal, timeoutMs, work))
  }

  /**
   * Runs work that sees to its own limit.
   *
   * @throws ResolveError DEADLINE_EXCEEDED or CANCELED when the signal ends while it waits in line
   */
  async enter<T>({ endpoint, signal, ticket }: Visitor, work: () => Promise<T>): Promise<T> {
    const cameAt = performance.now()
    let isIn = false
    const visit = (): Promise<T> => {
      isIn = true
      return work()
    }
    try {
      return await this.#gate.run(endpointUrl(endpoint), signal, visit, ticket)
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
