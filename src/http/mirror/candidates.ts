import { LRUCache } from 'lru-cache'
import type { Clock } from '../../concurrency/clock.ts'
import { waitBefore } from '../../concurrency/semaphore.ts'
import { ResolveError } from '../../errors.ts'
import { type Reference, repositoryName } from '../../reference/reference.ts'
import type { ImageRequest } from '../../registry/image.ts'
import type { Ask } from '../../resolver/candidate-request.ts'
import { isPullable, needsConsent, requestAt } from '../../resolver/candidates.ts'
import { askInOrder, type Found } from '../../resolver/failover.ts'
import { ResolveTrace } from '../../resolver/trace.ts'
import type { Candidate } from '../../resolver/types.ts'
import type { MirrorLimits, MirrorOptions } from './options.ts'

export interface Wanted<T> {
  /** For error texts. */
  readonly what: string
  readonly candidates: readonly Candidate[]
  /** The client's; what it asks for is given up with it. */
  readonly signal: AbortSignal
  /** Asks one candidate; the reference is still to be filled in. */
  readonly ask: (request: Omit<ImageRequest, 'reference'>) => Promise<T>
}

const MAX_REPOSITORIES = 1_000
const MAX_BROKEN = 1_000
/** Longer than the pauses that a kubelet makes between two tries. */
const BROKEN_MS = 600_000

/**
 * Which registries are asked for content, in which order, one after the other. Remembers which one served the
 * manifest of a repository, and which ones broke off in a blob.
 */
export class MirrorCandidates {
  readonly #options: Pick<MirrorOptions, 'health' | 'resolver'>
  readonly #clock: Clock
  readonly #limits: MirrorLimits
  /** By repository: the registry that served its last manifest. */
  readonly #served = new LRUCache<string, string>({ max: MAX_REPOSITORIES })
  /** Until when a registry comes last for a digest. */
  readonly #broken = new LRUCache<string, number>({ max: MAX_BROKEN })

  constructor(
    options: Pick<MirrorOptions, 'health' | 'resolver'>,
    clock: Clock,
    limits: MirrorLimits,
  ) {
    this.#options = options
    this.#clock = clock
    this.#limits = limits
  }

  /**
   * A request does not say which pod the image is for. A registry that needs the origin's consent
   * (KEP-2535) is therefore not used.
   *
   * @param may a further condition
   * @throws ResolveError DENIED when the configuration leaves none
   */
  of(reference: Reference, may: (candidate: Candidate) => boolean = () => true): Candidate[] {
    const all = this.#options.resolver.candidates(reference)
    const usable = all.filter((each) => isPullable(each) && !needsConsent(each) && may(each))
    if (usable.length > 0) return usable
    throw new ResolveError(
      'DENIED',
      `${repositoryName(reference)}: no registry of the configuration may be asked for it here`,
    )
  }

  /** First the registry that served the manifest, last those that broke off in this very blob. */
  ofBlob(reference: Reference): Candidate[] {
    const served = this.#served.get(repositoryName(reference))
    const rank = (candidate: Candidate): number => {
      if (this.#isBroken(candidate, reference)) return 2
      return candidate.registry === served ? 0 : 1
    }
    return this.of(reference).sort((one, other) => rank(one) - rank(other))
  }

  servedManifest({ registry }: Candidate, reference: Reference): void {
    this.#served.set(repositoryName(reference), registry)
  }

  brokeOff(candidate: Candidate, reference: Reference): void {
    this.#broken.set(brokenKey(candidate, reference), this.#clock.now() + BROKEN_MS)
  }

  /**
   * The first answer, as the resolver asks for images.
   *
   * @throws ResolveError with the attempts, as askInOrder()
   */
  async first<T>({ what, candidates, signal, ask }: Wanted<T>): Promise<Found<T>> {
    const { health, resolver } = this.#options
    const { probeBudgetMs = resolver.probeBudgetMs, totalMs } = this.#limits
    const clock = this.#clock
    const deadline = new AbortController()
    const cancelDeadline = clock.after(totalMs, () =>
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`)),
    )
    const trace = new ResolveTrace<T>(candidates, health, clock)
    const askOne: Ask<T> = async (candidate, signalOfFailover, ticket) => {
      const found = resolver.credentials(candidate)
      const credentials = await waitBefore(ticket, 'for credentials', found)
      return ask({
        ...requestAt(candidate, credentials),
        observe: trace.of(candidate).observer(),
        signal: signalOfFailover,
        ticket,
      })
    }
    try {
      return await askInOrder(candidates, askOne, {
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

  #isBroken(candidate: Candidate, reference: Reference): boolean {
    return this.#clock.now() < (this.#broken.get(brokenKey(candidate, reference)) ?? 0)
  }
}

function brokenKey({ registry }: Candidate, { digest }: Reference): string {
  return `${registry} ${digest}`
}
