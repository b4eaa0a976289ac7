import { randomUUID } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import {
  type FileHandle,
  lstat,
  open,
  readdir,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
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
/** Of folders: what version control, editors and package managers keep there is no workload. */
const PASSED_OVER = /^\.|^node_modules$/

/**
 * Reads files, those of folders, and standard input, one after the other.
 *
 * @param names `-` is standard input
 * @throws ResolveError CONFIG_INVALID for what cannot be read
 */
export async function* readFiles(
  names: readonly string[],
  stdin: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<WorkloadFile> {
  for (const name of names) {
    if (name === '-') {
      const text = decode(await buffer(stdin as AsyncIterable<Uint8Array>), name)
      yield { name, text, replace: () => Promise.reject(failure(name, 'cannot be written to')) }
    } else {
      for await (const file of filesOf(name)) yield await readOne(file)
    }
  }
}

async function* filesOf(name: string): AsyncGenerator<string> {
  const entry = await lstat(await resolved(name)).catch((thrown) => {
    throw failure(name, reason(thrown))
  })
  if (!entry.isDirectory()) yield name
  else yield* filesIn(name)
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((thrown) => {
    throw failure(folder, reason(thrown))
  })
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    if (PASSED_OVER.test(entry.name)) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesIn(path)
    else if (entry.isFile() && isWorkloadFile(entry.name)) yield path
  }
}

async function readOne(name: string): Promise<WorkloadFile> {
  // A link stays one, and leads to the new text.
  const path = await resolved(name)
  try {
    const handle = await open(path, 'r')
    try {
      const before = await handle.stat({ bigint: true })
      if (!before.isFile()) throw failure(name, 'is no file')
      if (before.size > MAX_BYTES) throw failure(name, `is larger than ${MAX_BYTES} bytes`)
      const text = decode(await handle.readFile(), name)
      return { name, text, replace: (next) => replaceFile(path, name, before, next) }
    } finally {
      await handle.close()
    }
  } catch (thrown) {
    throw thrown instanceof ResolveError ? thrown : failure(name, reason(thrown))
  }
}

/**
 * Replaces a file in one step: a reader sees the old text or the new one, also after a crash. Mode and
 * owner stay.
 */
async function replaceFile(
  path: string,
  name: string,
  before: BigIntStats,
  text: string,
): Promise<void> {
  const next = `${path}.${randomUUID()}.new`
  try {
    const handle = await open(next, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await keepOwner(handle, before)
      await handle.chmod(Number(before.mode & 0o7777n))
      await handle.sync()
    } finally {
      await handle.close()
    }
    const now = await lstat(path, { bigint: true })
    if (now.ino !== before.ino || now.mtimeNs !== before.mtimeNs) {
      throw failure(name, 'was changed meanwhile, and is left as it is')
    }
    await rename(next, path)
  } catch (thrown) {
    await rm(next, { force: true })
    throw thrown instanceof ResolveError ? thrown : failure(name, reason(thrown))
  }
}

/**
 * Writes a file that may not be there yet, in one step.
 *
 * @throws ResolveError CONFIG_INVALID where it cannot be written
 */
export async function writeNew(name: string, text: string): Promise<void> {
  const isThere = await lstat(name).then(
    () => true,
    () => false,
  )
  if (isThere) {
    await (await readOne(name)).replace(text)
    return
  }
  const next = `${name}.${randomUUID()}.new`
  try {
    await writeFile(next, text, { flag: 'wx', flush: true })
    await rename(next, name)
  } catch (thrown) {
    await rm(next, { force: true })
    throw failure(name, reason(thrown))
  }
}

async function keepOwner(handle: FileHandle, { uid, gid }: BigIntStats): Promise<void> {
  const made = await handle.stat({ bigint: true })
  if (made.uid !== uid || made.gid !== gid) await handle.chown(Number(uid), Number(gid))
}

async function resolved(name: string): Promise<string> {
  return realpath(name).catch((thrown) => {
    throw failure(name, reason(thrown))
  })
}

/** A byte order mark stays where it is. */
function decode(bytes: Uint8Array, name: string): string {
  if (bytes.length > MAX_BYTES) throw failure(name, `is larger than ${MAX_BYTES} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw failure(name, 'is not written in UTF-8', cause)
  }
}

function reason(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'is not there'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read or written by this user'
  if (code === 'ENOSPC') return 'could not be written: the disk is full'
  return `could not be read or written: ${message}`
}

function failure(name: string, message: string, cause?: unknown): ResolveError {
  const file = name === '-' ? 'standard input' : name
  return new ResolveError('CONFIG_INVALID', `${file} ${message}`, { cause })
}
