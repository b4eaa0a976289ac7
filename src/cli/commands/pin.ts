import { readFile } from 'node:fs/promises'
import { inTurn } from '../../concurrency/in-turn.ts'
import { ResolveError } from '../../errors.ts'
import { formatPlatform, parsePlatform } from '../../reference/platform.ts'
import { parseReference } from '../../reference/reference.ts'
import type { OpenedResolver } from '../../service/availability.ts'
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
import { findImages } from '../../workloads/workload-file.ts'
import { platformText } from '../answer-text.ts'
import type { Run } from '../command.ts'
import type { CliContext } from '../context.ts'
import { commonExitCode, EXIT, type ExitCode } from '../exit-codes.ts'
import { onlyOne, placeOf, UsageError, type Values } from '../options.ts'
import { type OutputStream, visible, withProgress } from '../output.ts'
import { findOptions, NO_IMAGES } from './check-report.ts'
import { type DatedOutcome, detail, isFinding, type PinMode, type Row, tell } from './pin-report.ts'

/** As `resolve` asks for several. */
const AT_ONCE = 8

/** By reference. */
type Outcomes = ReadonlyMap<string, DatedOutcome>

interface Found {
  readonly file: WorkloadFile
  readonly mentions: readonly ImageMention[]
  readonly problems: readonly FileProblem[]
}

/**
 * Pins the images that files name to digests, or says which are not pinned.
 *
 * @param names files, folders, `-` for standard input
 * @returns the code that all failures share, 1 where they differ, or where a check finds something
 * @throws UsageError; ResolveError CONFIG_INVALID for a file or lock file that cannot be read
 */
export const pinCommand: Run = async (names, values, context) => {
  onlyOne(values, ['write', 'check', 'diff'])
  const { check, diff, write } = values
  const mode = write ? 'write' : check ? 'check' : diff ? 'diff' : 'print'
  return run(names, mode, values, context)
}

/** Says which pinned images have moved; `names`, the exit code and errors are as of pinCommand. */
export const driftCommand: Run = async (names, values, context) => {
  if (names.length === 0 && values.lock === undefined) {
    throw new UsageError('drift takes files or folders, - for standard input, or --lock FILE')
  }
  return run(names, 'drift', values, context)
}

async function run(
  names: readonly string[],
  mode: PinMode,
  values: Values,
  context: CliContext,
): Promise<ExitCode> {
  const { json = false, lock: lockName, offline = false, platform } = values
  if (offline && lockName === undefined) {
    throw new UsageError('--offline needs --lock FILE: what is in it is all that is known')
  }
  const find = findOptions(values)
  const isOnlyRead = offline || isFinding(mode)
  const lock = lockName === undefined ? undefined : await readLock(lockName, isOnlyRead, platform)
  const found: Found[] = []
  const read = async (): Promise<void> => {
    for await (const file of readFiles(names, context.stdin)) {
      found.push({ file, ...findImages(file.text, file.name, find) })
    }
  }
  await withProgress(() => `${found.length} files are read`, read(), context)
  if (names.length === 0 && lock !== undefined && lockName !== undefined) {
    found.push(lockedImages(lock, lockName))
  }
  if (mode === 'print' && found.length !== 1) {
    throw new UsageError(`these are ${found.length} files: say --write, --diff or --check`)
  }
  const isNone = found.every(({ mentions, problems }) => mentions.length + problems.length === 0)
  if (isNone && names.length > 0) context.stderr.write(NO_IMAGES)
  const references = new Set(found.flatMap((each) => each.mentions.map((one) => one.reference)))
  const outcomes = await withAnswers(references, lock, { mode, values, context })
  const rows = found.flatMap((each) => rowsOf(each, outcomes, mode))
  const changed = found.map((each) => ({ file: each.file, edits: editsOf(each, outcomes) }))
  for (const each of changed) {
    // A text in the place of another one is as valid as that was; a field that is added need not be.
    if (each.edits.every(({ end, start }) => start < end)) continue
    const { problems } = findImages(newText(each), each.file.name, find)
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
  tell(rows, { context, json, mode })
  return code
}

/** A pipe gets the bytes of a file; a terminal nothing that could steer it. */
function print(text: string, { stdout }: { readonly stdout: OutputStream }): void {
  stdout.write(stdout.isTTY === true ? text.replace(/[^\t\r\n]+|\r(?!\n)/g, visible) : text)
}

/**
 * @param isOnlyRead whether one that is not there, or is empty, is a mistake, and not yet to be written
 * @param platform that digests are wanted of; those of another one would be other images
 */
async function readLock(
  name: string,
  isOnlyRead: boolean,
  platform: string | undefined,
): Promise<ImageLock> {
  const fail = (why: string): never => {
    throw new ResolveError('CONFIG_INVALID', `${name} ${why}`)
  }
  const text = await readFile(name, 'utf8').catch(({ code, message }: NodeJS.ErrnoException) =>
    code === 'ENOENT' ? undefined : fail(`cannot be read: ${message}`),
  )
  const wanted = platform && formatPlatform(parsePlatform(platform))
  if (text === undefined || text === '') {
    if (isOnlyRead) fail(text === undefined ? 'is not there' : 'is empty')
    return new ImageLock(wanted)
  }
  const lock = parseLock(text, name)
  if (lock.platform === wanted) return lock
  const how =
    lock.platform === undefined ? 'without --platform' : `with --platform ${lock.platform}`
  return fail(`was written ${how}: go on so, or name another lock file`)
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
  { mode, values, context }: { mode: PinMode; values: Values; context: CliContext },
): Promise<Outcomes> {
  const { offline = false, platform, update = false } = values
  const decide = isFinding(mode) ? checkReference : pinReference
  const resolver = offline ? undefined : await context.resolver(placeOf(values))
  const asked = new Map<string, Promise<LocatedImage>>()
  const lookup = (reference: string): Promise<LocatedImage> => {
    const running = asked.get(reference)
    if (running !== undefined) return running
    const located = locate(resolver, reference, platform)
    asked.set(reference, located)
    return located
  }
  const pinOptions: PinOptions = {
    lookup,
    found: (reference, image) => lock?.add(reference, image, new Date().toISOString()),
    offline,
    update,
    locked: lock === undefined ? undefined : (reference) => lock.digest(reference),
  }
  const outcomes = new Map<string, DatedOutcome>()
  const ask = async (): Promise<void> => {
    const decided = async (reference: string) => {
      const outcome = await decide(reference, pinOptions)
      const isDated = mode === 'drift' && outcome.state === 'changed'
      const times = isDated ? await timesOf(resolver, reference, outcome) : {}
      return [reference, { ...outcome, ...times }] as const
    }
    const { atOnce = AT_ONCE } = resolver ?? {}
    for await (const [reference, outcome] of inTurn(references, atOnce, decided)) {
      outcomes.set(reference, outcome)
    }
  }
  try {
    const far = () => `${outcomes.size} of ${references.size} images are looked up`
    await withProgress(far, ask(), context)
  } finally {
    await resolver?.close()
  }
  return outcomes
}

/** When the images were built that a tag pointed at, and points at now. */
async function timesOf(
  resolver: OpenedResolver | undefined,
  reference: string,
  { from, pin }: Extract<PinOutcome, { state: 'changed' }>,
): Promise<Pick<Row, 'created' | 'createdFrom'>> {
  if (resolver === undefined || from === undefined) return {}
  const parsed = parseReference(reference)
  const [created, createdFrom] = await Promise.all([
    resolver.created(parsed, pin.digest),
    resolver.created(parsed, from),
  ])
  return {
    ...(created !== undefined && { created }),
    ...(createdFrom !== undefined && { createdFrom }),
  }
}

async function locate(
  resolver: OpenedResolver | undefined,
  reference: string,
  platform: string | undefined,
): Promise<LocatedImage> {
  if (resolver === undefined) throw new Error('no registry is asked offline')
  const answer = await resolver.answer(reference, platform === undefined ? {} : { platform })
  const digest = platform === undefined ? answer.digest : answer.manifestDigest
  if (digest === undefined) throw new Error(`a registry answered without a digest: ${reference}`)
  const { imageId, registry } = answer
  return { digest, imageId, registry, platform: platformText(answer) }
}

/** Nothing of a file is changed where one of its images is not known. */
function editsOf({ mentions }: Found, outcomes: Outcomes) {
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
  outcomes: Outcomes,
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
    return [{ file: file.name, line, column, path, reference, ...detail(outcome, mode) }]
  })
  return [...told, ...skipped].sort(
    (one, other) => one.line - other.line || one.column - other.column,
  )
}
