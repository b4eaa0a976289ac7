import type { Clock } from '../../concurrency/clock.ts'
import { waitBefore } from '../../concurrency/semaphore.ts'
import { ResolveError } from '../../errors.ts'
import type { ImageRequest } from '../../registry/image.ts'
import type { Ask as Put } from '../../resolver/candidate-request.ts'
import { askInOrder, type Found } from '../../resolver/failover.ts'
import { ResolveTrace } from '../../resolver/trace.ts'
import type { Candidate } from '../../resolver/types.ts'
import type { MirrorLimits, MirrorOptions } from './types.ts'

/** What a candidate is asked; the reference is still to be filled in. */
export type Ask<T> = (request: Omit<ImageRequest, 'reference'>, candidate: Candidate) => Promise<T>

/** Asks the places in their order for one answer, as the resolver asks for images. */
export class Search {
  readonly #options: Pick<MirrorOptions, 'resolver' | 'health'>
  readonly #clock: Clock
  readonly #limits: MirrorLimits

  constructor(
    options: Pick<MirrorOptions, 'resolver' | 'health'>,
    clock: Clock,
    limits: MirrorLimits,
  ) {
    this.#options = options
    this.#clock = clock
    this.#limits = limits
  }

  /**
   * @param what for error texts
   * @param signal the caller's; what it asks for is given up with it
   * @throws ResolveError with the attempts, as askInOrder()
   */
  async first<T>(
    what: string,
    candidates: readonly Candidate[],
    signal: AbortSignal,
    ask: Ask<T>,
  ): Promise<Found<T>> {
    const { health, resolver } = this.#options
    const { probeBudgetMs = resolver.probeBudgetMs, totalMs } = this.#limits
    const clock = this.#clock
    const deadline = new AbortController()
    const cancelDeadline = clock.after(totalMs, () =>
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`)),
    )
    const trace = new ResolveTrace<T>(candidates, health, clock)
    const put: Put<T> = async (candidate, signalOfWalk, ticket) => {
      const { configured, endpoint, namespace, repository } = candidate
      const credentials = await waitBefore(
        ticket,
        'for credentials',
        resolver.credentials(candidate),
      )
      const observe = trace.of(candidate).observer()
      const request = {
        configured,
        endpoint,
        repository,
        observe,
        signal: signalOfWalk,
        ticket,
        ...(namespace !== undefined && { namespace }),
      }
      return ask({ ...request, ...(credentials !== undefined && { credentials }) }, candidate)
    }
    try {
      return await askInOrder(candidates, put, {
        what,
        // Never hedged: what is asked for is the body itself.
        limits: { probeBudgetMs },
        trace,
        clock,
        signal: AbortSignal.any([signal, deadline.signal]),
      })
    } finally {
      cancelDeadline()
    }
  }
}
