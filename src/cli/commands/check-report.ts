import { AVAILABILITIES, type Availability } from '../../../api/v1/check.ts'
import type { ImagePlace } from '../../resolver/availability.ts'
import { parsePathPattern } from '../../workloads/path-pattern.ts'
import type { FindOptions } from '../../workloads/workload-file.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { UsageError, type Values } from '../options.ts'
import { type Colors, formatTime, type Row, table } from '../output.ts'

/** What is told of one image; with `--json` as it is. */
export interface Checked {
  readonly reference: string
  readonly state: Availability | 'malformed'
  readonly from: readonly string[]
  /** What the tag points at now, where the node has another image by it, */
  readonly movedTo?: string
  /** and what the node has; both with the time when they were built, where a registry says it. */
  readonly movedFrom?: string
  readonly createdTo?: string
  readonly createdFrom?: string
  /** Platforms that were asked for, and that no place is known to have. */
  readonly missingPlatforms?: readonly string[]
  readonly message?: string
  readonly places: readonly ImagePlace[]
}

/** What `--fail-on` knows: the states, and what can be wrong beside them. */
const FINDINGS = [...AVAILABILITIES, 'moved', 'platform'] as const
export type Finding = (typeof FINDINGS)[number]

/** What keeps an image from starting on another node, or lets that not be said. */
const DEFAULT_FAIL_ON: readonly Finding[] = ['gone', 'denied', 'node-only', 'unknown', 'platform']

/** @param values of `--fail-on`, with commas between. @throws UsageError */
export function failOnOf(value: string | undefined): readonly Finding[] {
  if (value === undefined) return DEFAULT_FAIL_ON
  if (value === 'nothing') return []
  return value.split(',').map((word) => {
    const finding = FINDINGS.find((each) => each === word.trim())
    if (finding !== undefined) return finding
    throw new UsageError(`--fail-on knows ${FINDINGS.join(', ')} and nothing; not ${word}`)
  })
}

/** What `--path` and `--arg` say of where images stand in files. @throws UsageError for a path without keys */
export function findOptions({ arg = [], path: paths = [] }: Values): FindOptions {
  return {
    paths: paths.map((path) => {
      const pattern = parsePathPattern(path)
      if (pattern !== undefined) return pattern
      throw new UsageError(`--path takes keys with dots between, as in spec.image; not ${path}`)
    }),
    args: arg.map((name) => name.replace(/^-+/, '')),
  }
}

export const NO_IMAGES = 'image-resolver: no image is named there; --path says where else to look\n'

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

/** A table for people. */
export function report(checked: readonly Checked[], colors: Colors): string {
  return table(COLUMNS, checked.map(toRow), colors)
}

function toRow(checked: Checked): Row {
  const { from, message, missingPlatforms = [], places, reference, state } = checked
  const where = places.map((place) => `${place.registry}: ${saidBy(place, state)}`).join(', ')
  const below = [
    ...from.map((place) => ({ text: place, colour: 'dim' as const })),
    ...movedText(checked),
    ...missingPlatforms.map((platform) => ({
      text: `nothing for ${platform} there`,
      colour: 'red' as const,
    })),
    ...(message === undefined ? [] : [{ text: message }]),
    ...places.flatMap(({ error, registry }) =>
      error === undefined ? [] : [{ text: `${registry}: ${error.code}: ${error.message}` }],
    ),
  ]
  return { cells: [reference, { text: state, colour: COLOURS[state] }, where], below }
}

function movedText({ createdFrom, createdTo, movedFrom, movedTo: to }: Checked) {
  if (to === undefined) return []
  const built = (time: string | undefined): string =>
    time === undefined ? '' : `, built ${formatTime(time)}`
  const [now, here] = [`${to}${built(createdTo)}`, `${movedFrom}${built(createdFrom)}`]
  return [{ text: `its tag has moved: it is ${now}` }, { text: `this node has ${here}` }]
}

function saidBy({ digest, platforms, state }: ImagePlace, of: Checked['state']): string {
  if (state !== 'present') return state
  const yes = of === 'different' && digest !== undefined ? digest.slice(0, 19) : 'yes'
  return platforms === undefined ? yes : `${yes} (${platforms.join(' ') || 'no platform'})`
}

/** As checkCommand returns it. @param broken a file is no YAML */
export function exitCode(
  checked: readonly Checked[],
  failOn: readonly Finding[],
  broken: boolean,
): ExitCode {
  const findings = new Set<Finding | 'malformed'>(
    checked.flatMap(({ missingPlatforms, movedTo: to, state }) => [
      state,
      ...(to === undefined ? [] : (['moved'] as const)),
      ...(missingPlatforms === undefined ? [] : (['platform'] as const)),
    ]),
  )
  const failing = failOn.filter((finding) => findings.has(finding))
  const isMalformed = findings.has('malformed')
  if (broken || failing.some((finding) => finding !== 'unknown')) return EXIT.failed
  if (failing.length > 0) return isMalformed ? EXIT.failed : EXIT.unreachable
  return isMalformed ? EXIT.malformed : EXIT.done
}
