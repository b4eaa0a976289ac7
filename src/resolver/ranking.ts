import type { Reference } from '../reference/reference.ts'
import { isPullable, needsConsent, resolvesTags } from './candidates.ts'
import type { Candidate, RankedReference } from './types.ts'

/** What this resolution shows of a candidate. */
export type Standing = 'verified' | 'assumed' | 'refuted'

/**
 * The pullable references of one image, best first: digests before tags, verified before assumed,
 * then the order of the candidates; option 3 of kubernetes/kubernetes#46255. Candidates without the image, or
 * without the capability `pull`, are left out. A tag is listed only where the caller asked by tag alone, and where
 * the registry may resolve tags: the consent of an origin is for a digest.
 */
export function rankReferences(
  reference: Reference,
  digest: string,
  candidates: readonly Candidate[],
  standing: (candidate: Candidate) => Standing,
): readonly RankedReference[] {
  const pullable = candidates
    .filter(isPullable)
    .map((candidate) => ({ candidate, standing: standing(candidate) }))
  const ordered = [
    ...pullable.filter((each) => each.standing === 'verified'),
    ...pullable.filter((each) => each.standing === 'assumed'),
  ]
  const digests = ordered.map(({ candidate, standing }) =>
    ranked(candidate, `${candidate.pullName}@${digest}`, 'digest', standing === 'verified'),
  )
  if (reference.tag === undefined || reference.digest !== undefined) return digests
  const tags = ordered
    .filter(({ candidate }) => resolvesTags(candidate) && !needsConsent(candidate))
    .map(({ candidate, standing }) =>
      ranked(candidate, `${candidate.pullName}:${reference.tag}`, 'tag', standing === 'verified'),
    )
  return [...digests, ...tags]
}

function ranked(
  candidate: Candidate,
  reference: string,
  kind: 'digest' | 'tag',
  verified: boolean,
): RankedReference {
  return {
    reference,
    kind,
    registry: candidate.registry,
    priority: candidate.priority,
    verified,
  }
}
