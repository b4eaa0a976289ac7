import { ResolveError, toResolveError } from '../../errors.ts'
import { formatReference, parseReference } from '../../reference/reference.ts'
import {
  AVAILABILITIES,
  type Availability,
  availabilityOf,
  type ImagePlace,
  missingCopies,
  movedTo,
} from '../../resolver/availability.ts'
import { readFiles } from '../../workloads/read-files.ts'
import { type FindOptions, findImages } from '../../workloads/workload-file.ts'
import type { AvailabilitySource, CliContext, ImagesOnNode } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { UsageError } from '../options.ts'
import { colorsFor, type Row, table, visible, withProgress } from '../output.ts'
import { type CopyTool, copyPlan } from './copy-plan.ts'
import { inTurn } from './resolve.ts'

export interface CheckCommandOptions {
  /** Files, folders, `-`; none: the images of this node. */
  readonly names: readonly string[]
  readonly failOn: readonly Availability[]
  /** Print instead what copies the images that configured registries lack. */
  readonly plan: CopyTool | undefined
  readonly find: FindOptions
  readonly json: boolean
  readonly open: () => Promise<AvailabilitySource>
  readonly openNode: () => Promise<ImagesOnNode>
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

/** What is told of one image; with `--json` as it is. */
interface Checked {
  readonly reference: string
  readonly state: Availability | 'malformed'
  readonly from: readonly string[]
  /** What the tag points at now, where the node has another image by it. */
  readonly movedTo?: string
  readonly message?: string
  readonly places: readonly ImagePlace[]
}

/** What keeps an image from starting on another node, or lets that not be said. */
export const DEFAULT_FAIL_ON: readonly Availability[] = ['gone', 'denied', 'node-only', 'unknown']

/**
 * Says for each image at which registries it is.
 *
 * @returns 0; 1 where an image is in a state of `failOn`; 6 where it is `unknown` for all of these; 3 for what
 * is no reference alone
 * @throws ResolveError CONFIG_INVALID for a file that cannot be read; UsageError
 */
export async function checkCommand(options: CheckCommandOptions): Promise<ExitCode> {
  const { context, failOn, json, names, plan } = options
  const { environment, stdout } = context
  const { broken, wanted } = names.length === 0 ? await onNode(options) : await inFiles(options)
  const availability = await options.open()
  const checked: Checked[] = []
  try {
    await withProgress(`${wanted.length} images`, checkAll(wanted, availability, checked), context)
  } finally {
    await availability.close()
  }
  if (plan !== undefined) {
    stdout.write(
      copyPlan(
        plan,
        checked.flatMap(({ places }) => missingCopies(places)),
      ),
    )
  } else if (json) stdout.write(`${JSON.stringify({ images: checked }, null, 2)}\n`)
  else stdout.write(table(COLUMNS, checked.map(toRow), colorsFor(stdout, environment)))
  return exitCode(checked, failOn, broken)
}

/** @param values of `--fail-on`, with commas between. @throws UsageError */
export function failOnOf(value: string | undefined): readonly Availability[] {
  if (value === undefined) return DEFAULT_FAIL_ON
  if (value === 'nothing') return []
  return value.split(',').map((word) => {
    const state = AVAILABILITIES.find((each) => each === word.trim())
    if (state !== undefined) return state
    throw new UsageError(`--fail-on knows ${AVAILABILITIES.join(', ')} and nothing; not ${word}`)
  })
}

async function inFiles(options: CheckCommandOptions) {
  const { context, find, names } = options
  const found = new Map<string, string[]>()
  let broken = false
  for await (const { name, text } of readFiles(names, context.stdin)) {
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
  return { broken, wanted: [...found].map(([reference, from]): Wanted => ({ reference, from })) }
}

/** The tags of the node's images; an image without a tag by its digests. */
async function onNode({ context, openNode }: CheckCommandOptions) {
  const node = await openNode()
  try {
    const images = await withProgress('the service', node.list(), context)
    const wanted = images.flatMap(({ references }) => {
      const digests = references.filter((each) => each.includes('@'))
      const tags = references.filter((each) => !each.includes('@'))
      return (tags.length > 0 ? tags : digests).map((reference): Wanted => {
        const repository = reference.replace(/:[^/:]*$/, '')
        const own = digests.filter((each) => each.startsWith(`${repository}@`))
        const digestsOfIt = own.map((each) => each.slice(each.indexOf('@') + 1))
        return { reference, from: [], node: { digests: digestsOfIt } }
      })
    })
    return { broken: false, wanted }
  } finally {
    node.close()
  }
}

async function checkAll(
  wanted: readonly Wanted[],
  availability: AvailabilitySource,
  checked: Checked[],
): Promise<void> {
  const each = async function* () {
    yield* wanted
  }
  for await (const one of inTurn(each(), AT_ONCE, (image) => checkOne(image, availability))) {
    checked.push(one)
  }
}

async function checkOne(
  { from, node, reference }: Wanted,
  availability: AvailabilitySource,
): Promise<Checked> {
  try {
    const parsed = parseReference(reference)
    const places = await availability.places(parsed)
    if (places.length === 0) {
      throw new ResolveError('DENIED', 'the configuration allows no registry to be asked for it')
    }
    const moved = movedTo(parsed, places, node?.digests ?? [])
    return {
      reference: formatReference(parsed),
      state: availabilityOf(places, node !== undefined),
      from,
      ...(moved !== undefined && { movedTo: moved }),
      places,
    }
  } catch (thrown) {
    const { code, message } = toResolveError(thrown)
    const state = code === 'NAME_INVALID' ? 'malformed' : code === 'DENIED' ? 'denied' : 'unknown'
    return { reference, state, from, message, places: [] }
  }
}

const COLUMNS = [{ title: 'IMAGE' }, { title: 'STATE' }, { title: 'WHERE' }] as const

const COLOURS = {
  everywhere: 'green',
  partly: 'yellow',
  'private-only': 'yellow',
  'origin-only': 'yellow',
  different: 'yellow',
  'node-only': 'red',
  gone: 'red',
  denied: 'red',
  unknown: 'red',
  malformed: 'red',
} as const

function toRow({ from, message, movedTo: moved, places, reference, state }: Checked): Row {
  const where = places.map((place) => `${place.registry}: ${saidBy(place, state)}`).join(', ')
  const below = [
    ...from.map((place) => ({ text: place, colour: 'dim' as const })),
    ...(moved === undefined ? [] : [{ text: `its tag has moved: it is ${moved} now` }]),
    ...(message === undefined ? [] : [{ text: message }]),
    ...places.flatMap(({ error, registry }) =>
      error === undefined ? [] : [{ text: `${registry}: ${error.code}: ${error.message}` }],
    ),
  ]
  return { cells: [reference, { text: state, colour: COLOURS[state] }, where], below }
}

function saidBy({ digest, state }: ImagePlace, of: Checked['state']): string {
  if (state !== 'present') return state
  return of === 'different' && digest !== undefined ? digest.slice(0, 19) : 'yes'
}

function exitCode(
  checked: readonly Checked[],
  failOn: readonly Availability[],
  broken: boolean,
): ExitCode {
  const states = new Set(checked.map(({ state }) => state))
  const failing = failOn.filter((state) => states.has(state))
  const isMalformed = states.has('malformed')
  if (broken || failing.some((state) => state !== 'unknown')) return EXIT.failed
  if (failing.length > 0) return isMalformed ? EXIT.failed : EXIT.unreachable
  return isMalformed ? EXIT.malformed : EXIT.done
}
