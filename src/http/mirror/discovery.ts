import { ResolveError } from '../../errors.ts'
import { formatReference, type Reference, repositoryName } from '../../reference/reference.ts'
import { contentRefusal, readContent } from '../../registry/content.ts'
import type { Names } from '../../registry/listing.ts'
import { nextPage } from '../../registry/response.ts'
import { resolvesTags } from '../../resolver/candidates.ts'
import type { MirrorContext } from './context.ts'

export interface TagsPage {
  /** At most so many; undefined: as many as fit in one answer. */
  readonly n: number | undefined
  readonly last: string | undefined
}

export interface ReferrersPage {
  /** An image index, as the registry made it. */
  readonly bytes: Buffer
  /** `artifactType`, when the registry applied it (`OCI-Filters-Applied`). */
  readonly filters: string | undefined
  /** The query that leads to the next page. */
  readonly next: string | undefined
}

/** As many as are read of a registry at once. */
const MAX_TAGS = 10_000
const MAX_LAST_CHARACTERS = 255

/** @throws ResolveError NAME_INVALID for a number that is none */
export function parsePage({ n, last }: Readonly<Record<string, unknown>>): TagsPage {
  const isCount = typeof n === 'string' && /^\d{1,9}$/.test(n)
  if (n !== undefined && !isCount) throw new ResolveError('NAME_INVALID', '`n` is not a number')
  const isName = typeof last === 'string' && last !== '' && last.length <= MAX_LAST_CHARACTERS
  return { n: isCount ? Number(n) : undefined, last: isName ? last : undefined }
}

/**
 * The tags of a repository, as the first registry that can tell has them. Few registries sort them, and
 * some give everything whatever is asked for (docker-registry 2.8), so that all are asked for, and the
 * pages are made here; of more than MAX_TAGS each page is the registry's.
 */
export async function listMirrorTags(
  { candidates, source }: MirrorContext,
  reference: Reference,
  { n = MAX_TAGS, last }: TagsPage,
  signal: AbortSignal,
): Promise<Names> {
  const { value } = await candidates.first({
    what: `the tags of ${repositoryName(reference)}`,
    candidates: candidates.of(reference, resolvesTags),
    signal,
    ask: async (request) => {
      const all = await source.tags({ ...request, n: MAX_TAGS })
      if (all.last === undefined) return pageOf(all.names, n, last)
      const own = { n: Math.max(n, 1), ...(last !== undefined && { last }) }
      return source.tags({ ...request, ...own })
    },
  })
  return n === 0 ? { names: [] } : value
}

function pageOf(all: readonly string[], n: number, last: string | undefined): Names {
  const sorted = [...all].sort(inLexicalOrder)
  const behind = sorted.filter((tag) => last === undefined || inLexicalOrder(tag, last) > 0)
  const names = behind.slice(0, n)
  const end = names.length < behind.length ? names.at(-1) : undefined
  return { names, ...(end !== undefined && { last: end }) }
}

/** Without regard to case, as the specification wants it; with it where that says nothing. */
function inLexicalOrder(one: string, other: string): number {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()]
  if (a === b) return one < other ? -1 : Number(one > other)
  return a < b ? -1 : 1
}

/** Where the next page is: here, wherever the registry that was asked has it. */
export function nextLink(path: string, ns: unknown, n: number, last: string): string {
  const query = new URLSearchParams({ n: String(n), last })
  if (typeof ns === 'string') query.set('ns', ns)
  return `<${path}?${query}>; rel="next"`
}

/**
 * What refers to a manifest (distribution-spec, "Listing Referrers"), as the first registry that has that API says. No digest is known of it, so that
 * only registries are asked which are believed about tags.
 *
 * @param query for the registry, without `ns`
 * @throws ResolveError MANIFEST_UNKNOWN when none has it: clients then look for the tag that stands for it
 */
export async function findReferrers(
  { candidates, clock, source }: MirrorContext,
  reference: Reference,
  query: string,
  signal: AbortSignal,
): Promise<ReferrersPage> {
  const { value } = await candidates.first<ReferrersPage>({
    what: `the referrers of ${formatReference(reference)}`,
    candidates: candidates.of(reference, resolvesTags),
    signal,
    ask: async (request) => {
      const asked = { ...request, reference: reference.digest ?? '' }
      const answer = await source.open(asked, { method: 'GET', kind: 'referrers', query })
      answer.body.on('error', () => {})
      if (answer.status !== 200) throw await contentRefusal(request, answer, clock.now())
      const filters = answer.headers['oci-filters-applied']
      return {
        bytes: await readContent(answer, request),
        filters: typeof filters === 'string' ? filters : undefined,
        next: nextPage(answer.headers['link']),
      }
    },
  })
  return value
}
