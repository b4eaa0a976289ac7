import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import type { Party } from './auth/authorizer.ts'
import { CATALOG_SCOPE, pullScope } from './auth/scope.ts'
import { type Question, statusFailure } from './failure.ts'
import { readBody } from './response.ts'
import { nextPage } from './response-headers.ts'
import type { RegistrySession } from './session.ts'

export interface ListOptions {
  /** At most so many names: 1 to 10000, default 1000. */
  readonly n?: number
  /** Those behind this one. */
  readonly last?: string
}

export interface CatalogRequest extends Party, ListOptions {}

export interface TagsRequest extends CatalogRequest {
  /** Below `/v2/`, the endpoint's prefix included. */
  readonly repository: string
}

export interface Names {
  /** In the registry's order. */
  readonly names: readonly string[]
  /** There may be more: what `last` of the next question is. Absent: these were all. */
  readonly last?: string
}

interface Listing {
  readonly party: Party & ListOptions
  readonly path: string
  readonly member: 'tags' | 'repositories'
  readonly scope: string
  readonly question: Question
}

const DEFAULT_NAMES = 1_000
const MAX_NAMES = 10_000
/** ECR answers 405 to more. */
const MAX_PAGE = 1_000
const MAX_PAGES = 100
const MAX_PAGE_BYTES = 4 * 1024 * 1024
const MAX_NAME_CHARACTERS = 255
/** Where registries without the referrers API keep signatures and the like: no images. */
const REFERRERS_TAG = /^sha(?:256|512)-[0-9a-f]{64}/

/**
 * GET `/v2/<repository>/tags/list` (distribution-spec, "Listing Tags"), pages followed until there are
 * `n`. Tags of the referrers scheme (`sha256-…`) are left out.
 *
 * @throws ResolveError MANIFEST_UNKNOWN for no such repository
 */
export async function listTags(
  session: RegistrySession,
  request: TagsRequest,
  now: () => number,
): Promise<Names> {
  const { endpoint, repository } = request
  const { names, ...rest } = await list(session, now, {
    party: request,
    path: `${repository}/tags/list`,
    member: 'tags',
    scope: pullScope(repository),
    question: { host: endpoint.host, subject: `the tags of ${repository}`, step: 'manifest' },
  })
  return { names: names.filter((name) => !REFERRERS_TAG.test(name)), ...rest }
}

/** GET `/v2/_catalog` (Docker's, in the OCI specification an extension); many registries refuse it. */
export function listRepositories(
  session: RegistrySession,
  request: CatalogRequest,
  now: () => number,
): Promise<Names> {
  const { endpoint } = request
  return list(session, now, {
    party: request,
    path: '_catalog',
    member: 'repositories',
    scope: CATALOG_SCOPE,
    question: { host: endpoint.host, subject: 'its list of repositories', step: 'manifest' },
  })
}

function list(session: RegistrySession, now: () => number, listing: Listing): Promise<Names> {
  const { party, question } = listing
  return session.ask(party, question, async () => {
    const wanted = Math.min(Math.max(party.n ?? DEFAULT_NAMES, 1), MAX_NAMES)
    const names: string[] = []
    const asked = new Set<string>()
    let query: string | undefined = firstQuery(wanted, party.last)
    // Asked for the same page again, a registry would go on for ever.
    while (query !== undefined && !asked.has(query)) {
      if (asked.size === MAX_PAGES || names.length >= wanted) break
      asked.add(query)
      const page = await readPage(session, now, listing, query)
      names.push(...page.names)
      query = page.next
    }
    const more = names.length > wanted || (query !== undefined && !asked.has(query))
    const given = names.slice(0, wanted)
    const last = more ? given.at(-1) : undefined
    return { names: given, ...(last === undefined ? {} : { last }) }
  })
}

function firstQuery(wanted: number, last: string | undefined): string {
  const query = new URLSearchParams({ n: String(Math.min(wanted, MAX_PAGE)) })
  if (last !== undefined) query.set('last', last)
  return query.toString()
}

async function readPage(
  session: RegistrySession,
  now: () => number,
  { party, path, member, scope, question }: Listing,
  query: string,
): Promise<{ readonly names: readonly string[]; readonly next: string | undefined }> {
  const reply = await session.reply({
    party,
    method: 'GET',
    path: `${path}?${query}`,
    headers: { accept: 'application/json' },
    scope,
  })
  if (reply.status !== 200) throw await statusFailure(reply, question, now())
  const names = parseNames(await readBody(reply, MAX_PAGE_BYTES), member)
  if (names !== undefined) return { names, next: nextPage(reply.headers['link']) }
  throw new ResolveError(
    'MANIFEST_INVALID',
    `${question.host}: ${question.subject}: an answer without ${quote(member)}, or of more than 4 MiB`,
    { step: 'manifest', status: reply.status },
  )
}

/** A repository without tags may have `null` there. */
function parseNames(body: Buffer | undefined, member: string): readonly string[] | undefined {
  try {
    const answer = JSON.parse(body?.toString() ?? '') as Readonly<Record<string, unknown>>
    const names = answer[member]
    if (names === null) return []
    return Array.isArray(names) ? names.filter(isName) : undefined
  } catch {
    return undefined
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_CHARACTERS
}
