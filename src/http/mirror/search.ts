import type { Clock } from '../../concurrency/clock.ts'
import { ResolveError } from '../../errors.ts'
import type { ImageRequest } from '../../registry/image.ts'
import { WalkRecord } from '../../resolver/record.ts'
import type { Candidate } from '../../resolver/types.ts'
import { before } from '../../resolver/until.ts'
import { type Found, walk } from '../../resolver/walk.ts'
import type { Ask as Put } from '../../resolver/walk-options.ts'
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
   * @throws ResolveError with the attempts, as walk()
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
    const record = new WalkRecord<T>(candidates, health, clock)
    const put: Put<T> = async (candidate, signalOfWalk, ticket) => {
      const { configured, endpoint, namespace, repository } = candidate
      const credentials = await before(ticket, 'for credentials', resolver.credentials(candidate))
      const observe = record.observer(candidate)
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
      return await walk(candidates, put, {
        what,
        // Never hedged: what is asked for is the body itself.
        limits: { probeBudgetMs },
        record,
        clock,
        signal: AbortSignal.any([signal, deadline.signal]),
      })
    } finally {
      cancelDeadline()
    }
  }
}
