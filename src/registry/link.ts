/** No `<` within: else a header full of them is read to its end from each. */
const LINKS = /<(?<target>[^<>]*)>(?<params>[^<]*)/g
const NEXT = /;\s*rel\s*=\s*"?next"?\s*(?:[;,]|$)/i
const ANYWHERE = 'http://registry.invalid/'
const MAX_QUERY_CHARACTERS = 2_000

/**
 * The query of the next page, out of `Link: </v2/…?n=…&last=…>; rel="next"` (RFC 8288; distribution-spec,
 * "Listing Tags"). Nothing else of the link is used: whoever it names, the registry itself is asked
 * again. Some put hosts there that nobody else can reach, and Artifactory leaves out its own prefix.
 */
export function nextPage(link: string | readonly string[] | undefined): string | undefined {
  const text = typeof link === 'string' ? link : (link?.join(', ') ?? '')
  for (const { groups } of text.matchAll(LINKS)) {
    const { target = '', params = '' } = groups ?? {}
    if (!NEXT.test(params) || !URL.canParse(target, ANYWHERE)) continue
    const query = new URL(target, ANYWHERE).search.slice(1)
    return query === '' || query.length > MAX_QUERY_CHARACTERS ? undefined : query
  }
  return undefined
}
