import { inTurn } from '../../concurrency/in-turn.ts'
import { ResolveError, toResolveError } from '../../errors.ts'
import { formatPlatform, type Platform, parsePlatform } from '../../reference/platform.ts'
import { formatReference, parseReference, type Reference } from '../../reference/reference.ts'
import {
  type AskedPlace,
  availabilityOf,
  hasPlatform,
  type ImagePlace,
  missingCopies,
  movedTo,
} from '../../resolver/availability.ts'
import type { OpenedResolver } from '../../service/availability.ts'
import { readFiles, type WorkloadFile } from '../../workloads/read-files.ts'
import { type FindOptions, findImages } from '../../workloads/workload-file.ts'
import type { Run } from '../command.ts'
import type { CliContext } from '../context.ts'
import { fileOf, onlyOne, placeOf, UsageError, type Values } from '../options.ts'
import { print, visible, withProgress } from '../output.ts'
import { CheckAnswers } from './check-answers.ts'
import { type Checked, exitCode, failOnOf, findOptions, NO_IMAGES, report } from './check-report.ts'
import { copyPlan, copyToolOf } from './copy-plan.ts'

/** Each asks several registries; one registry is asked by 16 at a time. */
const AT_ONCE = 32

/** An image to look for. */
interface Wanted {
  readonly reference: string
  /** Where it is named: `app.yaml:12:16`. */
  readonly from: readonly string[]
  /** What the node has by that name; undefined: the node was not asked. */
  readonly node?: { readonly digests: readonly string[] }
}

/**
 * Says for each image at which registries it is.
 *
 * @param names files, folders, `-`; none: the images of this node
 * @returns 0; 1 where an image is in a state of `--fail-on`; 6 where it is `unknown` for all of these; 3 for what
 * is no reference alone
 * @throws ResolveError CONFIG_INVALID for a file that cannot be read; UsageError
 */
export const checkCommand: Run = async (names, values, context) => {
  onlyOne(values, ['json', 'plan'])
  if (values.all && names.length > 0) throw new UsageError('--all is for this node: without files')
  const [failOn, plan] = [failOnOf(values['fail-on']), copyToolOf(values.plan)]
  const platforms = values.platform?.split(',').map((each) => parsePlatform(each.trim())) ?? []
  const find = findOptions(values)
  const { resume } = values
  const answers = resume === undefined ? undefined : await CheckAnswers.open(resume)
  const { broken, wanted } =
    names.length === 0 ? await onNode(values, context) : await inFiles(names, find, context)
  const resolver = await context.resolver(placeOf(values))
  const checked: Checked[] = []
  const far = () => `${checked.length} of ${wanted.length} images are checked`
  try {
    const sources = { resolver, answers, platforms }
    const { atOnce = AT_ONCE } = resolver
    const ask = async (): Promise<void> => {
      const each = inTurn(wanted, atOnce, (image) => checkOne(image, sources))
      for await (const one of each) checked.push(one)
    }
    await withProgress(far, ask(), context)
  } finally {
    await resolver.close()
  }
  if (answers !== undefined) {
    if (checked.every(({ state }) => state !== 'unknown')) await answers.remove()
    else {
      const kept = `${resume} keeps what was answered: the next run asks for the rest`
      context.stderr.write(`image-resolver: ${visible(answers.problem ?? kept)}\n`)
    }
  }
  if (plan !== undefined) {
    context.stdout.write(
      copyPlan(
        plan,
        checked.flatMap(({ places }) => missingCopies(places)),
      ),
    )
  } else {
    const whole = { images: checked, requests: resolver.requests() }
    print(context, values.json, whole, (colors) => report(checked, colors))
  }
  return exitCode(checked, failOn, broken)
}

async function inFiles(names: readonly string[], find: FindOptions, context: CliContext) {
  const found = new Map<string, string[]>()
  let [broken, files] = [false, 0]
  const take = ({ name, text }: WorkloadFile): void => {
    files += 1
    const { mentions, problems } = findImages(text, name, find)
    for (const { column, images, isBroken, line, message } of problems) {
      if (images !== undefined) continue
      broken ||= isBroken
      const what = isBroken ? message : `passed over: ${message}`
      context.stderr.write(`${visible(`${name}:${line}:${column}: ${what}`)}\n`)
    }
    const unpinnable = problems.flatMap(({ images = [], ...place }) =>
      images.map((reference) => ({ ...place, reference })),
    )
    for (const { column, line, reference } of [...mentions, ...unpinnable]) {
      const from = found.get(reference) ?? []
      from.push(`${name}:${line}:${column}`)
      found.set(reference, from)
    }
  }
  const read = async (): Promise<void> => {
    for await (const file of readFiles(names, context.stdin)) take(file)
  }
  await withProgress(() => `${files} files are read`, read(), context)
  if (found.size === 0) context.stderr.write(NO_IMAGES)
  return { broken, wanted: [...found].map(([reference, from]): Wanted => ({ reference, from })) }
}

async function onNode(values: Values, context: CliContext) {
  const node = await context.node({ file: fileOf(values) })
  try {
    const images = await withProgress('the service', node.named(values.all ?? false), context)
    const wanted = new Map<string, Wanted>()
    for (const { names, repoDigests } of images) {
      for (const reference of names) {
        const own = repoDigests.filter((each) => isOfRepository(each, reference))
        const digests = own.map((each) => each.slice(each.indexOf('@') + 1))
        wanted.set(reference, { reference, from: [], node: { digests } })
      }
    }
    return { broken: false, wanted: [...wanted.values()] }
  } finally {
    node.close()
  }
}

function isOfRepository(repoDigest: string, reference: string): boolean {
  try {
    const [one, other] = [parseReference(repoDigest), parseReference(reference)]
    return one.domain === other.domain && one.path === other.path
  } catch {
    return false
  }
}

/** What a check asks. */
interface Sources {
  readonly resolver: OpenedResolver
  /** Of an earlier check; undefined: none are kept. */
  readonly answers: CheckAnswers | undefined
  readonly platforms: readonly Platform[]
}

async function checkOne({ from, node, reference }: Wanted, sources: Sources): Promise<Checked> {
  const { answers, platforms, resolver } = sources
  try {
    const parsed = parseReference(reference)
    const known = (place: AskedPlace) => answers?.known(place, platforms.length > 0)
    const places = await resolver.places(parsed, { platforms, known })
    if (places.length === 0) {
      throw new ResolveError('DENIED', 'the configuration allows no registry to be asked for it')
    }
    await answers?.add(places)
    const missing = platforms.filter(
      (wanted) => !places.some(({ platforms: there = [] }) => hasPlatform(wanted, there)),
    )
    const isThere = places.some(({ state }) => state === 'present')
    return {
      reference: formatReference(parsed),
      state: availabilityOf(places, node !== undefined),
      from,
      ...(await moved(parsed, places, node?.digests ?? [], resolver)),
      ...(isThere && missing.length > 0 && { missingPlatforms: missing.map(formatPlatform) }),
      places,
    }
  } catch (thrown) {
    const { code, message } = toResolveError(thrown)
    const state = code === 'NAME_INVALID' ? 'malformed' : code === 'DENIED' ? 'denied' : 'unknown'
    return { reference, state, from, message, places: [] }
  }
}

async function moved(
  reference: Reference,
  places: readonly ImagePlace[],
  digests: readonly string[],
  resolver: OpenedResolver,
) {
  const to = movedTo(reference, places, digests)
  const [from] = digests
  if (to === undefined || from === undefined) return {}
  const [createdTo, createdFrom] = await Promise.all([
    resolver.created(reference, to),
    resolver.created(reference, from),
  ])
  return {
    movedTo: to,
    movedFrom: from,
    ...(createdTo !== undefined && { createdTo }),
    ...(createdFrom !== undefined && { createdFrom }),
  }
}
