import { LRUCache } from 'lru-cache'
import { ResolveError } from '../../errors.ts'
import { type Reference, repositoryName } from '../../reference/reference.ts'
import { isPullable, needsConsent } from '../../resolver/candidates.ts'
import type { Candidate } from '../../resolver/types.ts'
import type { MirrorResolver } from './types.ts'

const MAX_REPOSITORIES = 1_000
const MAX_BROKEN = 1_000
/** Longer than the pauses that a kubelet makes between two tries. */
const BROKEN_MS = 600_000

/** Where content is looked for, best place first; remembers who served what, and who broke off. */
export class Places {
  readonly #resolver: Pick<MirrorResolver, 'candidates'>
  readonly #now: () => number
  /** Who served the last manifest of a repository. */
  readonly #served = new LRUCache<string, string>({ max: MAX_REPOSITORIES })
  /** Until when a registry comes last for a digest. */
  readonly #broken = new LRUCache<string, number>({ max: MAX_BROKEN })

  constructor(resolver: Pick<MirrorResolver, 'candidates'>, now: () => number) {
    this.#resolver = resolver
    this.#now = now
  }

  /**
   * Nobody knows here on whose behalf an image is pulled, so that a registry which is used with the
   * origin's consent alone (KEP-2535) is not used.
   *
   * @param may a further condition
   * @throws ResolveError DENIED when the configuration leaves nobody
   */
  of(reference: Reference, may: (candidate: Candidate) => boolean = () => true): Candidate[] {
    const all = this.#resolver.candidates(reference)
    const usable = all.filter((each) => isPullable(each) && !needsConsent(each) && may(each))
    if (usable.length > 0) return usable
    throw new ResolveError(
      'DENIED',
      `${repositoryName(reference)}: no registry of the configuration may be asked for it here`,
    )
  }

  /** First the one whose manifest it is in, last those that broke off in this very blob. */
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
    this.#broken.set(brokenKey(candidate, reference), this.#now() + BROKEN_MS)
  }

  #isBroken(candidate: Candidate, reference: Reference): boolean {
    return this.#now() < (this.#broken.get(brokenKey(candidate, reference)) ?? 0)
  }
}

function brokenKey({ registry }: Candidate, { digest }: Reference): string {
  return `${registry} ${digest}`
}
