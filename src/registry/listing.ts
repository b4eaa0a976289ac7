import { ResolveError } from '../errors.ts'
import { fieldsOf, parseJson } from '../json.ts'
import { COMPONENT, TAG } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'
import { CATALOG_SCOPE, pullScope } from './auth/challenge.ts'
import type { RequestContext } from './image.ts'
import { nextPage, readBody } from './response.ts'
import type { RegistrySession } from './session.ts'

export interface ListOptions {
  /** How many names at most: 1 to 10000, default 1000. */
  readonly n?: number
  /** Only names after this one. */
  readonly last?: string
}

export interface CatalogRequest extends RequestContext, ListOptions {}

export interface TagsRequest extends CatalogRequest {
  /** Below `/v2/`, the endpoint's prefix included. */
  readonly repository: string
}

export interface Names {
  /** In the registry's order. */
  readonly names: readonly string[]
  /** There may be more: `last` of the next request. Absent: these were all. */
  readonly last?: string
}

interface Listing {
  readonly request: RequestContext & ListOptions
  readonly path: string
  readonly member: 'tags' | 'repositories'
  readonly scope: string
  /** For error texts. */
  readonly subject: string
}

const DEFAULT_NAMES = 1_000
const MAX_NAMES = 10_000
/** ECR answers 405 above that. */
const MAX_PAGE = 1_000
const MAX_PAGES = 100
const MAX_PAGE_BYTES = 4 * 1024 * 1024
const MAX_NAME_CHARACTERS = 255
/** The tags of signatures and the like in registries without the referrers API: no images. */
const REFERRERS_TAG = /^sha(?:256|512)-[0-9a-f]{64}/

/**
 * GET `/v2/<repository>/tags/list` (distribution-spec, "Listing Tags"), pages followed until there are
 * `n`. Tags of the referrers scheme (`sha256-…`) are left out.
 *
 * @throws ResolveError MANIFEST_UNKNOWN for no such repository
 */
export async function listTags(session: RegistrySession, request: TagsRequest): Promise<Names> {
  const { repository } = request
  const { names, ...rest } = await list(session, {
    request,
    path: `${repository}/tags/list`,
    member: 'tags',
    scope: pullScope(repository),
    subject: `the tags of ${repository}`,
  })
  return { names: names.filter((name) => !REFERRERS_TAG.test(name)), ...rest }
}

/** GET `/v2/_catalog` (Docker's, in the OCI specification an extension); many registries refuse it. */
export function listRepositories(
  session: RegistrySession,
  request: CatalogRequest,
): Promise<Names> {
  return list(session, {
    request,
    path: '_catalog',
    member: 'repositories',
    scope: CATALOG_SCOPE,
    subject: 'its list of repositories',
  })
}

async function list(session: RegistrySession, listing: Listing): Promise<Names> {
  const { n = DEFAULT_NAMES, last } = listing.request
  const wanted = Math.min(Math.max(n, 1), MAX_NAMES)
  const names: string[] = []
  const asked = new Set<string>()
  let query: string | undefined = firstQuery(wanted, last)
  // A registry that leads back to a page that was read would be asked for ever.
  while (query !== undefined && !asked.has(query)) {
    if (asked.size === MAX_PAGES || names.length >= wanted) break
    asked.add(query)
    const page = await readPage(session, listing, query)
    names.push(...page.names)
    query = page.next
  }
  const more = names.length > wanted || (query !== undefined && !asked.has(query))
  const given = names.slice(0, wanted)
  const lastGiven = more ? given.at(-1) : undefined
  return { names: given, ...(lastGiven !== undefined && { last: lastGiven }) }
}

function firstQuery(wanted: number, last: string | undefined): string {
  const query = new URLSearchParams({ n: String(Math.min(wanted, MAX_PAGE)) })
  if (last !== undefined) query.set('last', last)
  return query.toString()
}

function readPage(
  session: RegistrySession,
  { request, path, member, scope, subject }: Listing,
  query: string,
): Promise<{ readonly names: readonly string[]; readonly next: string | undefined }> {
  const asked = {
    context: request,
    method: 'GET',
    path: `${path}?${query}`,
    subject,
    headers: { accept: 'application/json' },
    scope,
  } as const
  return session.request(asked, async (response) => {
    const names = parseNames(await readBody(response, MAX_PAGE_BYTES), member)
    if (names !== undefined) return { names, next: nextPage(response.headers['link']) }
    throw new ResolveError(
      'MANIFEST_INVALID',
      `${request.endpoint.host}: ${subject}: an answer without ${quote(member)}, or of more than 4 MiB`,
      { step: 'manifest', status: response.status },
    )
  })
}

/** A repository without tags may have `null` there. What is no name cannot be pulled, and may read like another one. */
function parseNames(
  body: Buffer | undefined,
  member: Listing['member'],
): readonly string[] | undefined {
  const names = fieldsOf(parseJson(body?.toString() ?? ''))[member]
  if (names === null) return []
  const isName = member === 'tags' ? isTag : isRepository
  return Array.isArray(names)
    ? names.filter((name): name is string => typeof name === 'string' && isName(name))
    : undefined
}

function isTag(name: string): boolean {
  return TAG.test(name)
}

function isRepository(name: string): boolean {
  if (name.length > MAX_NAME_CHARACTERS) return false
  return name.split('/').every((component) => COMPONENT.test(component))
}
