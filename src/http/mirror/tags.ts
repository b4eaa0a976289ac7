import { ResolveError } from '../../errors.ts'
import { type Reference, repositoryName } from '../../reference/reference.ts'
import type { Names } from '../../registry/listing.ts'
import { resolvesTags } from '../../resolver/candidates.ts'
import type { MirrorContext } from './context.ts'

export interface TagsPage {
  /** At most so many; undefined: as many as fit in one answer. */
  readonly n: number | undefined
  readonly last: string | undefined
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
 * The tags of a repository, as the first place that can say has them. Few registries sort them, and
 * some give everything whatever is asked for (docker-registry 2.8), so that they are all asked for,
 * and the pages are made here; but of more than anybody reads at once each page is the registry's.
 */
export async function listMirrorTags(
  { places, search, source }: MirrorContext,
  reference: Reference,
  { n = MAX_TAGS, last }: TagsPage,
  signal: AbortSignal,
): Promise<Names> {
  const what = `the tags of ${repositoryName(reference)}`
  const candidates = places.of(reference, resolvesTags)
  const { value } = await search.first(what, candidates, signal, async (request) => {
    const all = await source.tags({ ...request, n: MAX_TAGS })
    const own = { n: Math.max(n, 1), ...(last !== undefined && { last }) }
    return all.last === undefined ? pageOf(all.names, n, last) : source.tags({ ...request, ...own })
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
