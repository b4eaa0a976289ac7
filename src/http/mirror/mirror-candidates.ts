import { LRUCache } from 'lru-cache'
import type { Clock } from '../../concurrency/clock.ts'
import { ResolveError } from '../../errors.ts'
import { type Reference, repositoryName } from '../../reference/reference.ts'
import type { Credentials } from '../../registry/credentials.ts'
import type { CandidateCall } from '../../resolver/candidate-request.ts'
import { isPullable, needsConsent } from '../../resolver/candidates.ts'
import { askInOrder, type Found } from '../../resolver/failover.ts'
import { ResolveTrace } from '../../resolver/trace.ts'
import type { Candidate, Health, Resolution } from '../../resolver/types.ts'

/** The resolver as the mirror endpoint sees it. */
export interface MirrorResolver {
  /** Every registry where the repository may be found, in the order of asking. */
  candidates(reference: Reference): readonly Candidate[]
  credentials(candidate: Candidate): Promise<Credentials | undefined>
  /** How long a registry may be silent before the next one is asked in its place. */
  readonly probeBudgetMs: number
  resolve(
    reference: Reference,
    options: { readonly signal: AbortSignal; readonly refresh: boolean },
  ): Promise<Pick<Resolution, 'digest' | 'mediaType' | 'size'>>
}

interface MirrorCandidatesOptions {
  readonly resolver: MirrorResolver
  readonly health: Health
  readonly clock: Clock
  /** As in MirrorLimits. */
  readonly limits: { readonly probeBudgetMs?: number; readonly totalMs: number }
}

interface Wanted<T> {
  /** For error texts. */
  readonly what: string
  readonly candidates: readonly Candidate[]
  /** The client's; what it asks for is given up with it. */
  readonly signal: AbortSignal
  /** Asks one candidate; the reference is still to be filled in. */
  readonly ask: (request: CandidateCall) => Promise<T>
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
  readonly #options: MirrorCandidatesOptions
  /** By repository: the registry that served its last manifest. */
  readonly #served = new LRUCache<string, string>({ max: MAX_REPOSITORIES })
  /** Registries that come last for a digest, for a while. */
  readonly #broken: LRUCache<string, true>

  constructor(options: MirrorCandidatesOptions) {
    const { clock } = options
    this.#options = options
    this.#broken = new LRUCache({ max: MAX_BROKEN, ttl: BROKEN_MS, ttlResolution: 0, perf: clock })
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
      if (this.#broken.has(brokenKey(candidate, reference))) return 2
      return candidate.registry === served ? 0 : 1
    }
    return this.of(reference).sort((one, other) => rank(one) - rank(other))
  }

  servedManifest({ registry }: Candidate, reference: Reference): void {
    this.#served.set(repositoryName(reference), registry)
  }

  brokeOff(candidate: Candidate, reference: Reference): void {
    this.#broken.set(brokenKey(candidate, reference), true)
  }

  /**
   * The first answer, as the resolver asks for images.
   *
   * @throws ResolveError with the attempts, as askInOrder()
   */
  async first<T>({ what, candidates, signal, ask }: Wanted<T>): Promise<Found<T>> {
    const { clock, health, limits, resolver } = this.#options
    const { probeBudgetMs = resolver.probeBudgetMs, totalMs } = limits
    const deadline = new AbortController()
    const cancelDeadline = clock.after(totalMs, () =>
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`)),
    )
    try {
      return await askInOrder(candidates, (_candidate, call) => ask(call), {
        // Never hedged: what is asked for is the body itself.
        limits: { probeBudgetMs },
        trace: new ResolveTrace<T>(what, candidates, health, clock),
        credentials: (candidate) => resolver.credentials(candidate),
        clock,
        signal: AbortSignal.any([signal, deadline.signal]),
      })
    } finally {
      cancelDeadline()
    }
  }
}

function brokenKey({ registry }: Candidate, { digest }: Reference): string {
  return `${registry} ${digest}`
}
