import type { RepositoriesResponse, TagsResponse } from '../../../api/v1/registries.ts'
import { toResolveError } from '../../errors.ts'
import type { Page } from '../../service/open.ts'
import { failureBody } from '../answer-text.ts'
import type { Run } from '../command.ts'
import type { CliContext } from '../context.ts'
import { commonExitCode, EXIT, type ExitCode, exitCodeOf } from '../exit-codes.ts'
import { filesOf, UsageError, type Values } from '../options.ts'
import { colorsFor, print, table, visible, withProgress } from '../output.ts'

/** More than a terminal shows, and more than most registries hold. */
const DEFAULT_LIMIT = 10_000
const MAX_LIMIT = 1_000_000

/** How many names of each registry are shown at most. @throws UsageError */
function limitOf({ limit }: Values): number {
  if (limit === undefined) return DEFAULT_LIMIT
  const count = /^\d{1,7}$/.test(limit) ? Number(limit) : 0
  if (count >= 1 && count <= MAX_LIMIT) return count
  throw new UsageError(`--limit is a number from 1 to ${MAX_LIMIT}`)
}

/** What one page of the API holds. */
const PAGE = 1_000
/** A page may be empty though more follow: of a registry with a prefix only what is below it counts. */
const MAX_PAGES = 1_000

/**
 * `registry images`: the repositories of one registry, or of all that are configured. `--json`: one body
 * of the API a line, after them one of errors for each registry that did not say.
 *
 * @returns the exit code: 0; 1 when a part of the registries did not say; when none did, the code that all
 * failures share
 */
export const registryImagesCommand: Run = async ([name], values, context) => {
  const [limit, json] = [limitOf(values), values.json ?? false]
  const { environment, stderr, stdout } = context
  const registries = await context.registries({ ...filesOf(values), alone: false })
  try {
    const names = name === undefined ? await registries.names() : [name]
    if (names.length === 0) stderr.write('image-resolver: no registry is configured\n')
    const found: RepositoriesResponse[] = []
    const unlisted: object[] = []
    const failures: ExitCode[] = []
    for (const registry of names) {
      try {
        const asked = pages(limit, async (page) => {
          const { repositories: of, next: more } = await registries.repositories(registry, page)
          return { names: of, next: more }
        })
        const { names: repositories, next } = await withProgress(registry, asked, context)
        found.push({ registry, repositories, next })
      } catch (thrown) {
        const error = toResolveError(thrown)
        failures.push(exitCodeOf(error.code))
        if (json) unlisted.push({ registry, ...failureBody(error, false) })
        else stderr.write(`image-resolver: ${visible(error.message)}\n`)
      }
    }
    for (const { next, registry } of found) if (next !== null) tellOfMore(context, registry, limit)
    const rows = found.flatMap(({ registry, repositories }) =>
      repositories.map((repository) => ({ cells: [registry, repository] })),
    )
    stdout.write(
      json
        ? [...found, ...unlisted].map((body) => `${JSON.stringify(body)}\n`).join('')
        : table(
            [{ title: 'REGISTRY' }, { title: 'REPOSITORY' }],
            rows,
            colorsFor(stdout, environment),
          ),
    )
    return found.length > 0 && failures.length > 0 ? EXIT.failed : commonExitCode(failures)
  } finally {
    await registries.close()
  }
}

/**
 * `registry tags`: one tag a line. `--json`: the body of the API.
 *
 * @throws ResolveError when the registry does not say
 */
export const registryTagsCommand: Run = async ([name = '', repository = ''], values, context) => {
  const limit = limitOf(values)
  const registries = await context.registries({ ...filesOf(values), alone: false })
  try {
    const asked = pages(limit, async (page) => {
      const { tags: names, next: more } = await registries.tags(name, repository, page)
      return { names, next: more }
    })
    const { names: tags, next } = await withProgress(name, asked, context)
    if (next !== null) tellOfMore(context, repository, limit)
    const body: TagsResponse = { registry: name, repository, tags, next }
    print(context, values.json, body, () => tags.map((tag) => `${visible(tag)}\n`).join(''))
    return 0
  } finally {
    await registries.close()
  }
}

/** Page by page, at most `limit` of them. `next` is not null where there are more. */
async function pages(
  limit: number,
  ask: (page: Page) => Promise<{ readonly names: readonly string[]; readonly next: string | null }>,
) {
  const names: string[] = []
  let next: string | null = null
  for (let page = 0; page < MAX_PAGES && names.length < limit; page += 1) {
    const n = Math.min(PAGE, limit - names.length)
    const answer = await ask({ n, ...(next !== null && { last: next }) })
    names.push(...answer.names)
    next = answer.next
    if (next === null) break
  }
  return { names, next }
}

function tellOfMore({ stderr }: Pick<CliContext, 'stderr'>, where: string, limit: number): void {
  const more = `there are more than ${limit}; --limit says how many are shown`
  stderr.write(`image-resolver: ${visible(where)}: ${more}\n`)
}
