import { ResolveError, toResolveError } from '../../errors.ts'
import { formatPlatform, type Platform } from '../../reference/platform.ts'
import { formatReference, parseReference, type Reference } from '../../reference/reference.ts'
import {
  availabilityOf,
  hasPlatform,
  type ImagePlace,
  missingCopies,
  movedTo,
} from '../../resolver/availability.ts'
import { readFiles, type WorkloadFile } from '../../workloads/read-files.ts'
import { type FindOptions, findImages } from '../../workloads/workload-file.ts'
import type { AvailabilitySource, CliContext, ImagesOnNode } from '../context.ts'
import type { ExitCode } from '../exit-codes.ts'
import { colorsFor, visible, withProgress } from '../output.ts'
import { CheckAnswers } from './check-answers.ts'
import { type Checked, exitCode, type Finding, NO_IMAGES, report } from './check-report.ts'
import { type CopyTool, copyPlan } from './copy-plan.ts'
import { inTurn } from './resolve.ts'

export interface CheckCommandOptions {
  /** Files, folders, `-`; none: the images of this node. */
  readonly names: readonly string[]
  /** Every image of the node, not only those that pods use. */
  readonly all: boolean
  readonly failOn: readonly Finding[]
  /** Print instead what copies the images that configured registries lack. */
  readonly plan: CopyTool | undefined
  /** Those that every place is to have. */
  readonly platforms: readonly Platform[]
  /** Where answers are kept until there are all; undefined: nowhere. */
  readonly resume: string | undefined
  readonly find: FindOptions
  readonly json: boolean
  readonly open: () => Promise<AvailabilitySource>
  readonly openNode: () => Promise<ImagesOnNode>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly context: Pick<CliContext, 'stdin' | 'stdout' | 'stderr' | 'environment' | 'every'>
}

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
 * @returns 0; 1 where an image is in a state of `failOn`; 6 where it is `unknown` for all of these; 3 for what
 * is no reference alone
 * @throws ResolveError CONFIG_INVALID for a file that cannot be read; UsageError
 */
export async function checkCommand(options: CheckCommandOptions): Promise<ExitCode> {
  const { context, failOn, json, names, now, plan, resume } = options
  const { environment, stdout } = context
  const answers = resume === undefined ? undefined : await CheckAnswers.open(resume, now)
  const { broken, wanted } = names.length === 0 ? await onNode(options) : await inFiles(options)
  const availability = await options.open()
  const checked: Checked[] = []
  const far = () => `${checked.length} of ${wanted.length} images are checked`
  try {
    const check = new Check(options, availability, answers)
    await withProgress(far, check.all(wanted, checked), context)
  } finally {
    await availability.close()
  }
  if (answers !== undefined) await keep(answers, checked, options)
  if (plan !== undefined) {
    stdout.write(
      copyPlan(
        plan,
        checked.flatMap(({ places }) => missingCopies(places)),
      ),
    )
  } else if (json) {
    const whole = { images: checked, requests: availability.requests() }
    stdout.write(`${JSON.stringify(whole, null, 2)}\n`)
  } else stdout.write(report(checked, colorsFor(stdout, environment)))
  return exitCode(checked, failOn, broken)
}

/** What was answered is kept while something was not. */
async function keep(
  answers: CheckAnswers,
  checked: readonly Checked[],
  { context, resume }: CheckCommandOptions,
): Promise<void> {
  if (checked.every(({ state }) => state !== 'unknown')) return answers.remove()
  const kept = `${resume} keeps what was answered: the next run asks for the rest`
  context.stderr.write(`image-resolver: ${visible(answers.problem ?? kept)}\n`)
}

async function inFiles(options: CheckCommandOptions) {
  const { context, find, names } = options
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

async function onNode({ all, context, openNode }: CheckCommandOptions) {
  const node = await openNode()
  try {
    const images = await withProgress('the service', node.named(all), context)
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

class Check {
  readonly #options: CheckCommandOptions
  readonly #availability: AvailabilitySource
  readonly #answers: CheckAnswers | undefined

  constructor(
    options: CheckCommandOptions,
    availability: AvailabilitySource,
    answers: CheckAnswers | undefined,
  ) {
    this.#options = options
    this.#availability = availability
    this.#answers = answers
  }

  /** @param checked gets what is told of each, in the order of `wanted`, as soon as it is known */
  async all(wanted: readonly Wanted[], checked: Checked[]): Promise<void> {
    const each = async function* () {
      yield* wanted
    }
    const one = async (image: Wanted): Promise<Checked> => {
      const told = await this.#checked(image)
      await this.#answers?.add(told.places)
      return told
    }
    const { atOnce = AT_ONCE } = this.#availability
    for await (const told of inTurn(each(), atOnce, one)) checked.push(told)
  }

  async #checked({ from, node, reference }: Wanted): Promise<Checked> {
    try {
      const parsed = parseReference(reference)
      const places = await this.#places(parsed)
      if (places.length === 0) {
        throw new ResolveError('DENIED', 'the configuration allows no registry to be asked for it')
      }
      const missing = this.#options.platforms.filter(
        (wanted) => !places.some(({ platforms = [] }) => hasPlatform(wanted, platforms)),
      )
      const isThere = places.some(({ state }) => state === 'present')
      return {
        reference: formatReference(parsed),
        state: availabilityOf(places, node !== undefined),
        from,
        ...(await this.#moved(parsed, places, node?.digests ?? [])),
        ...(isThere && missing.length > 0 && { missingPlatforms: missing.map(formatPlatform) }),
        places,
      }
    } catch (thrown) {
      const { code, message } = toResolveError(thrown)
      const state = code === 'NAME_INVALID' ? 'malformed' : code === 'DENIED' ? 'denied' : 'unknown'
      return { reference, state, from, message, places: [] }
    }
  }

  #places(reference: Reference): Promise<readonly ImagePlace[]> {
    const { platforms } = this.#options
    return this.#availability.places(reference, {
      platforms,
      known: (place) => this.#answers?.known(place, platforms.length > 0),
    })
  }

  async #moved(reference: Reference, places: readonly ImagePlace[], digests: readonly string[]) {
    const to = movedTo(reference, places, digests)
    const [from] = digests
    if (to === undefined || from === undefined) return {}
    const [createdTo, createdFrom] = await Promise.all([
      this.#availability.created(reference, to),
      this.#availability.created(reference, from),
    ])
    return {
      movedTo: to,
      movedFrom: from,
      ...(createdTo !== undefined && { createdTo }),
      ...(createdFrom !== undefined && { createdFrom }),
    }
  }
}
