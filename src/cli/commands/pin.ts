import { readFile } from 'node:fs/promises'
import { ResolveError } from '../../errors.ts'
import { parseReference } from '../../reference/reference.ts'
import { unifiedDiff } from '../../workloads/diff.ts'
import { applyEdits, type FileProblem, type ImageMention } from '../../workloads/image-mention.ts'
import { ImageLock, parseLock } from '../../workloads/lock-file.ts'
import {
  checkReference,
  type LocatedImage,
  type PinOptions,
  type PinOutcome,
  pinReference,
} from '../../workloads/pin.ts'
import { readFiles, type WorkloadFile, writeNew } from '../../workloads/read-files.ts'
import { type FindOptions, findImages } from '../../workloads/workload-file.ts'
import { platformText } from '../answer-text.ts'
import type { AnswerSource, CliContext } from '../context.ts'
import { commonExitCode, EXIT, type ExitCode } from '../exit-codes.ts'
import { UsageError } from '../options.ts'
import { type OutputStream, visible, withProgress } from '../output.ts'
import { NO_IMAGES } from './check-report.ts'
import { detail, isFinding, type PinMode, type Row, tell } from './pin-report.ts'
import { inTurn } from './resolve.ts'

export interface PinCommandOptions {
  /** Files, folders, `-` for standard input. */
  readonly names: readonly string[]
  /** `print`: the text of one file, pinned. `drift`: what is pinned, and has moved. */
  readonly mode: PinMode
  /** The lock file; undefined: none. */
  readonly lock: string | undefined
  readonly offline: boolean
  readonly update: boolean
  readonly platform: string | undefined
  readonly find: FindOptions
  readonly json: boolean
  readonly open: () => Promise<AnswerSource>
  /** RFC 3339. */
  readonly now: () => string
  readonly context: Pick<CliContext, 'stdin' | 'stdout' | 'stderr' | 'environment' | 'every'>
}

/** As `resolve` asks for several. */
const AT_ONCE = 8

type Times = Pick<Row, 'created' | 'createdFrom'>

interface Outcomes {
  readonly outcomes: ReadonlyMap<string, PinOutcome>
  /** Of what has moved, for drift. */
  readonly times: ReadonlyMap<string, Times>
}

interface Found {
  readonly file: WorkloadFile
  readonly mentions: readonly ImageMention[]
  readonly problems: readonly FileProblem[]
}

/**
 * Pins the images that files name to digests, or says which are not pinned, or have moved.
 *
 * @returns the code that all failures share, 1 where they differ, or where a check finds something
 * @throws UsageError; ResolveError CONFIG_INVALID for a file or lock file that cannot be read
 */
export async function pinCommand(options: PinCommandOptions): Promise<ExitCode> {
  const { context, lock: lockName, mode } = options
  const isAllThatIsKnown = options.offline || options.names.length === 0
  const lock = lockName === undefined ? undefined : await readLock(lockName, isAllThatIsKnown)
  const found: Found[] = []
  const read = async (): Promise<void> => {
    for await (const file of readFiles(options.names, context.stdin)) {
      found.push({ file, ...findImages(file.text, file.name, options.find) })
    }
  }
  await withProgress(() => `${found.length} files are read`, read(), context)
  if (options.names.length === 0 && lock !== undefined && lockName !== undefined) {
    found.push(lockedImages(lock, lockName))
  }
  if (mode === 'print' && found.length !== 1) {
    throw new UsageError(`these are ${found.length} files: say --write, --diff or --check`)
  }
  const isNone = found.every(({ mentions, problems }) => mentions.length + problems.length === 0)
  if (isNone && options.names.length > 0) context.stderr.write(NO_IMAGES)
  const references = new Set(found.flatMap((each) => each.mentions.map((one) => one.reference)))
  const { outcomes, times } = await withAnswers(references, lock, options)
  const rows = found.flatMap((each) => rowsOf(each, outcomes, times, mode))
  const changed = found.map((each) => ({ file: each.file, edits: editsOf(each, outcomes) }))
  for (const each of changed) {
    // A text in the place of another one is as valid as that was; a field that is added need not be.
    if (each.edits.every(({ end, start }) => start < end)) continue
    const { problems } = findImages(newText(each), each.file.name, options.find)
    if (!problems.some(({ isBroken }) => isBroken)) continue
    const message = `${each.file.name} would be no valid YAML with its images pinned; nothing is written`
    throw new ResolveError('UNSUPPORTED', message)
  }
  const code = commonExitCode(rows.map((row) => row.code))
  // First, so that no file has a digest that the lock file should have and does not.
  if (!isFinding(mode) && lock?.isChanged === true && lockName !== undefined) {
    await writeNew(lockName, lock.toString())
  }
  // Behind a pipe there may be kubectl: it gets a pinned text or none.
  if (mode === 'print' && code === EXIT.done) print(changed.map(newText).join(''), context)
  if (mode === 'diff') {
    for (const { file, edits } of changed) {
      print(unifiedDiff(file.name, file.text, edits), context)
    }
  }
  if (mode === 'write') {
    for (const each of changed) if (each.edits.length > 0) await each.file.replace(newText(each))
  }
  tell(rows, options)
  return code
}

/** A pipe gets the bytes of a file; a terminal nothing that could steer it. */
function print(text: string, { stdout }: { readonly stdout: OutputStream }): void {
  stdout.write(stdout.isTTY === true ? text.replace(/[^\t\r\n]+|\r(?!\n)/g, visible) : text)
}

/** @param isNeeded whether a file that is not there is a mistake, and not one that is yet to be written */
async function readLock(name: string, isNeeded: boolean): Promise<ImageLock> {
  const text = await readFile(name, 'utf8').catch(({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'ENOENT' && !isNeeded) return undefined
    const why = code === 'ENOENT' ? 'is not there' : `cannot be read: ${message}`
    throw new ResolveError('CONFIG_INVALID', `${name} ${why}`)
  })
  return text === undefined ? new ImageLock() : parseLock(text, name)
}

/** What a lock file alone names. */
function lockedImages(lock: ImageLock, name: string): Found {
  const mentions = lock.references().map((reference) => ({
    reference: `${reference}@${lock.digest(reference)}`,
    line: 1,
    column: 1,
    path: 'images',
    pin: () => [],
  }))
  const replace = () => Promise.resolve()
  return { file: { name, text: '', replace }, mentions, problems: [] }
}

async function withAnswers(
  references: ReadonlySet<string>,
  lock: ImageLock | undefined,
  options: PinCommandOptions,
): Promise<Outcomes> {
  const { context, mode, now, offline, platform, update } = options
  const decide = isFinding(mode) ? checkReference : pinReference
  const answers = offline ? undefined : await options.open()
  const asked = new Map<string, Promise<LocatedImage>>()
  const lookup = (reference: string): Promise<LocatedImage> => {
    const running = asked.get(reference)
    if (running !== undefined) return running
    const located = locate(answers, reference, platform).then((image) => {
      if (!reference.includes('@')) lock?.add(reference, image, now())
      return image
    })
    asked.set(reference, located)
    return located
  }
  const pinOptions: PinOptions = {
    lookup,
    offline,
    update,
    locked: lock === undefined ? undefined : (reference) => lock.digest(reference),
  }
  const outcomes = new Map<string, PinOutcome>()
  const times = new Map<string, Times>()
  const ask = async (): Promise<void> => {
    const decided = async (reference: string) =>
      [reference, await decide(reference, pinOptions)] as const
    const { atOnce = AT_ONCE } = answers ?? {}
    for await (const [reference, outcome] of inTurn(each(references), atOnce, decided)) {
      outcomes.set(reference, outcome)
      if (mode === 'drift') times.set(reference, await timesOf(answers, reference, outcome))
    }
  }
  try {
    const far = () => `${outcomes.size} of ${references.size} images are looked up`
    await withProgress(far, ask(), context)
  } finally {
    await answers?.close()
  }
  return { outcomes, times }
}

/** When the images were built that a tag pointed at, and points at now. */
async function timesOf(
  answers: AnswerSource | undefined,
  reference: string,
  outcome: PinOutcome,
): Promise<Times> {
  if (answers?.created === undefined || outcome.state !== 'changed' || outcome.from === undefined)
    return {}
  const parsed = parseReference(reference)
  const [created, createdFrom] = await Promise.all([
    answers.created(parsed, outcome.pin.digest),
    answers.created(parsed, outcome.from),
  ])
  return {
    ...(created !== undefined && { created }),
    ...(createdFrom !== undefined && { createdFrom }),
  }
}

async function* each<T>(things: Iterable<T>): AsyncGenerator<T> {
  yield* things
}

async function locate(
  answers: AnswerSource | undefined,
  reference: string,
  platform: string | undefined,
): Promise<LocatedImage> {
  if (answers === undefined) throw new Error('no registry is asked offline')
  const answer = await answers.answer(reference, platform === undefined ? {} : { platform })
  const digest = platform === undefined ? answer.digest : answer.manifestDigest
  if (digest === undefined) throw new Error(`a registry answered without a digest: ${reference}`)
  const { imageId, registry } = answer
  return { digest, imageId, registry, platform: platformText(answer) }
}

/** Nothing of a file is changed where one of its images is not known. */
function editsOf({ mentions }: Found, outcomes: ReadonlyMap<string, PinOutcome>) {
  const all = mentions.map(({ reference }) => outcomes.get(reference))
  if (all.some((outcome) => outcome?.state === 'failed')) return []
  return mentions.flatMap((mention) => {
    const outcome = outcomes.get(mention.reference)
    return outcome?.state === 'changed' ? mention.pin(outcome.pin) : []
  })
}

function newText({
  file,
  edits,
}: {
  file: WorkloadFile
  edits: ReturnType<typeof editsOf>
}): string {
  return applyEdits(file.text, edits)
}

function rowsOf(
  { file, mentions, problems }: Found,
  outcomes: ReadonlyMap<string, PinOutcome>,
  times: ReadonlyMap<string, Times>,
  mode: PinMode,
): readonly Row[] {
  const skipped = problems.map(({ images, isBroken, line, column, message }): Row => {
    const state = isBroken ? 'broken' : 'skipped'
    const isFailure = isBroken || (mode === 'check' && images !== undefined)
    return {
      file: file.name,
      line,
      column,
      state,
      message,
      code: isFailure ? EXIT.failed : EXIT.done,
    }
  })
  const told = mentions.flatMap((mention): Row[] => {
    const outcome = outcomes.get(mention.reference)
    if (outcome === undefined || (mode === 'drift' && outcome.state === 'unpinned')) return []
    const { line, column, path, reference } = mention
    const told = { ...detail(outcome, mode), ...times.get(reference) }
    return [{ file: file.name, line, column, path, reference, ...told }]
  })
  return [...told, ...skipped].sort(
    (one, other) => one.line - other.line || one.column - other.column,
  )
}
