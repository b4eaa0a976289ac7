import { randomUUID } from 'node:crypto'
import { type BigIntStats, createReadStream } from 'node:fs'
import { type FileHandle, lstat, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ResolveError } from '../errors.ts'
import { isWorkloadFile } from './workload-file.ts'

export interface WorkloadFile {
  /** As it was named; of a file in a folder, with the folder before it. */
  readonly name: string
  readonly text: string
  /** Replaces the file by another text. @throws ResolveError */
  replace(text: string): Promise<void>
}

/** More than any workload is described in, and as much as is read at once. */
const MAX_BYTES = 64 * 1024 * 1024
const TOO_LARGE = 'is larger than 64 MiB, which is more than is read at once'
/** Of folders: what version control, editors and package managers keep there is no workload. */
const PASSED_OVER = /^\.|^node_modules$/
/** Of what is written beside a file, to take its place. */
const SUFFIX = '.new'
const NOTHING_IN_IT =
  'has no file to read: of a folder YAML and Dockerfiles are read; name others by themselves'

/**
 * Reads files, those of folders, and standard input, one after the other; none twice.
 *
 * @param names `-` is standard input; pipes, as a shell makes them of `<(…)`, are read as it is
 * @throws ResolveError CONFIG_INVALID for what cannot be read
 */
export async function* readFiles(
  names: readonly string[],
  stdin: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<WorkloadFile> {
  const seen = new Set<string>()
  for (const name of names) {
    const entry = name === '-' ? undefined : await explained(name, stat(name))
    if (entry === undefined) yield await readStream(name, stdin)
    else if (entry.isFIFO()) yield await readStream(name, createReadStream(name))
    else if (!entry.isDirectory()) yield* readOnce(name, seen)
    else {
      let isEmpty = true
      for await (const file of filesIn(name)) {
        isEmpty = false
        yield* readOnce(file, seen)
      }
      if (isEmpty) throw failure(name, NOTHING_IN_IT)
    }
  }
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  const entries = await explained(folder, readdir(folder, { withFileTypes: true }))
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    if (PASSED_OVER.test(entry.name)) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesIn(path)
    // A link may lead to a file, as all do in the volume of a ConfigMap; those to folders could lead in a circle.
    else if (isWorkloadFile(entry.name)) {
      if (entry.isFile() || (await explained(path, stat(path))).isFile()) yield path
    }
  }
}

async function readStream(
  name: string,
  stream: AsyncIterable<string | Uint8Array>,
): Promise<WorkloadFile> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk))
    bytes += chunk.length
    if (bytes > MAX_BYTES) throw failure(name, TOO_LARGE)
  }
  const text = decode(Buffer.concat(chunks), name)
  return { name, text, replace: () => Promise.reject(failure(name, 'cannot be written to')) }
}

/** @param seen gets its path, links followed */
async function* readOnce(name: string, seen: Set<string>): AsyncGenerator<WorkloadFile> {
  const path = await explained(name, realpath(name))
  if (seen.has(path)) return
  seen.add(path)
  yield await readOne(name, path)
}

/** @param path links followed: a link stays one, and leads to the new text */
async function readOne(name: string, path: string): Promise<WorkloadFile> {
  const handle = await explained(name, open(path, 'r'))
  try {
    const before = await handle.stat({ bigint: true })
    if (!before.isFile()) throw failure(name, 'is neither a file nor a folder')
    if (before.size > MAX_BYTES) throw failure(name, TOO_LARGE)
    const text = decode(await explained(name, handle.readFile()), name)
    return { name, text, replace: (next) => replaceFile(path, name, before, next) }
  } finally {
    await handle.close()
  }
}

/**
 * Replaces a file in one step: a reader sees the old text or the new one, also after a crash. Mode and
 * owner stay.
 *
 * @param before undefined: it is not there yet
 */
async function replaceFile(
  path: string,
  name: string,
  before: BigIntStats | undefined,
  text: string,
): Promise<void> {
  // No reader of folders takes it for the file, whatever its name.
  const prefix = `.${basename(path)}.`
  const next = join(dirname(path), `${prefix}${randomUUID()}${SUFFIX}`)
  try {
    // Where they cannot be removed, the file can be written all the same.
    await removeLeftovers(dirname(path), prefix).catch(() => {})
    const handle = await open(next, 'wx', before === undefined ? 0o666 : 0o600)
    try {
      await handle.writeFile(text)
      if (before !== undefined) {
        await keepOwner(handle, before)
        await handle.chmod(Number(before.mode & 0o7777n))
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    const now = before && (await lstat(path, { bigint: true }))
    if (now?.ino !== before?.ino || now?.mtimeNs !== before?.mtimeNs) {
      throw failure(name, 'was changed meanwhile, and is left as it is')
    }
    await rename(next, path)
  } catch (thrown) {
    await rm(next, { force: true })
    throw thrown instanceof ResolveError ? thrown : failure(name, whyNotWritten(thrown))
  }
}

/** Of runs that were killed while they wrote that file. */
async function removeLeftovers(folder: string, prefix: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    const id = entry.slice(prefix.length, -SUFFIX.length)
    const isOurs = entry === `${prefix}${id}${SUFFIX}` && /^[0-9a-f-]{36}$/.test(id)
    if (isOurs) await rm(join(folder, entry), { force: true })
  }
}

/**
 * Writes a file that may not be there yet, in one step.
 *
 * @throws ResolveError CONFIG_INVALID where it cannot be written
 */
export async function writeNew(name: string, text: string): Promise<void> {
  const path = await realpath(name).catch(() => undefined)
  if (path === undefined) await replaceFile(name, name, undefined, text)
  else await (await readOne(name, path)).replace(text)
}

async function keepOwner(handle: FileHandle, { uid, gid }: BigIntStats): Promise<void> {
  const made = await handle.stat({ bigint: true })
  if (made.uid !== uid || made.gid !== gid) await handle.chown(Number(uid), Number(gid))
}

function explained<T>(name: string, work: Promise<T>): Promise<T> {
  return work.catch((thrown) => {
    throw failure(name, reason(thrown))
  })
}

/** A byte order mark stays where it is. */
function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw failure(name, 'is not written in UTF-8', cause)
  }
}

function reason(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'is not there'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user'
  if (code === 'ELOOP') return 'is a symbolic link that leads back to itself'
  return `could not be read: ${message}`
}

/** A file of its own is made beside it, which then takes its place. */
function whyNotWritten(thrown: unknown): string {
  const { code, message, syscall } = thrown as NodeJS.ErrnoException
  const isTaken = syscall === 'rename'
  const why = new Map([
    ['ENOENT', isTaken ? 'another run is writing it too' : 'its folder is not there'],
    ['EACCES', 'this user may not write to its folder'],
    ['EPERM', 'this user may not leave it its owner'],
    ['ENOSPC', 'the disk is full'],
    ['EROFS', 'the file system is read-only'],
  ]).get(code ?? '')
  return `could not be written, and is left as it is: ${why ?? message}`
}

function failure(name: string, message: string, cause?: unknown): ResolveError {
  const file = name === '-' ? 'standard input' : name
  return new ResolveError('CONFIG_INVALID', `${file} ${message}`, { cause })
}
