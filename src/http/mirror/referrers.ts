import { formatReference, type Reference } from '../../reference/reference.ts'
import { OCI_INDEX } from '../../registry/manifest.ts'
import { nextPage } from '../../registry/response.ts'
import { resolvesTags } from '../../resolver/candidates.ts'
import type { MirrorContext } from './context.ts'
import { readWhole } from './read-whole.ts'
import { refusal } from './refusal.ts'

export interface ReferrersPage {
  /** An image index, as the registry made it. */
  readonly bytes: Buffer
  /** `artifactType`, when the registry applied it (`OCI-Filters-Applied`). */
  readonly filters: string | undefined
  /** The query that leads to the next page. */
  readonly next: string | undefined
}

/**
 * What refers to a manifest (distribution-spec, "Listing Referrers"), as the first place that has that
 * API says. It is nobody's digest, so that only those are asked who are believed about tags.
 *
 * @param query for the registry, without `ns`
 * @throws ResolveError MANIFEST_UNKNOWN when none has it: clients then look for the tag that stands for it
 */
export async function findReferrers(
  { clock, places, search, source }: MirrorContext,
  reference: Reference,
  query: string,
  signal: AbortSignal,
): Promise<ReferrersPage> {
  const what = `the referrers of ${formatReference(reference)}`
  const candidates = places.of(reference, resolvesTags)
  const { value } = await search.first(what, candidates, signal, async (request) => {
    const asked = { ...request, reference: reference.digest ?? '' }
    const answer = await source.open(asked, { method: 'GET', kind: 'referrers', query })
    answer.body.on('error', () => {})
    if (answer.status !== 200) throw await refusal(request, answer, clock.now())
    const filters = answer.headers['oci-filters-applied']
    return {
      bytes: await readWhole(answer, request),
      filters: typeof filters === 'string' ? filters : undefined,
      next: nextPage(answer.headers['link']),
    }
  })
  return value
}

export const REFERRERS_TYPE = OCI_INDEX
