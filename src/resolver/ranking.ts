import type { Reference } from '../reference/reference.ts'
import type { Candidate, RankedReference } from './types.ts'

/** What this resolution learned of a candidate. */
export type Standing = 'verified' | 'assumed' | 'refuted'

/**
 * The pullable references of one image, best first: digests before tags, verified before assumed,
 * then the order of the candidates; option 3 of kubernetes/kubernetes#46255. A candidate that said
 * no is not listed. A tag is listed only where the caller asked by tag: beside a digest it binds nobody.
 */
export function rankReferences(
  reference: Reference,
  digest: string,
  candidates: readonly Candidate[],
  standing: (candidate: Candidate) => Standing,
): readonly RankedReference[] {
  const verified = candidates.filter((candidate) => standing(candidate) === 'verified')
  const assumed = candidates.filter((candidate) => standing(candidate) === 'assumed')
  const ordered = [...verified, ...assumed]
  const digests = ordered.map((candidate, index) =>
    ranked(candidate, `${candidate.pullName}@${digest}`, 'digest', index < verified.length),
  )
  if (reference.tag === undefined || reference.digest !== undefined) return digests
  const tags = ordered.map((candidate, index) =>
    ranked(candidate, `${candidate.pullName}:${reference.tag}`, 'tag', index < verified.length),
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
