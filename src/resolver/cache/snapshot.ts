import { createHash, type Hash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { ForeignFileError, openOwnFile } from '../../own-file.ts'
import type { CacheContent } from './cache.ts'
import {
  ContentReader,
  contentLines,
  FORMAT,
  headLine,
  parseHead,
  type SnapshotContent,
  type SnapshotScope,
  VERSION,
} from './snapshot-lines.ts'

export interface SnapshotPlace {
  readonly file: string
  readonly scope: SnapshotScope
  /** Of the whole file: no more is written, and a longer one is not read. Default 64 MiB. */
  readonly maxBytes?: number
}

export type LoadedSnapshot =
  | { readonly state: 'absent' }
  | { readonly state: 'damaged'; readonly reason: string }
  | { readonly state: 'whole'; readonly content: SnapshotContent }

const MAX_BYTES = 64 * 1024 * 1024
const MAX_LINE_BYTES = 1024 * 1024
/** What is made or read in one turn of the event loop. */
const BATCH_BYTES = 64 * 1024
const BATCH_ENTRIES = 256
const TAIL_BYTES = 128
const NEWLINE = 0x0a

/**
 * Writes what of a cache may outlive this run: a head, a line of JSON for each entry, the most
 * recently used first, and a checksum. The file is complete or it is the former one, whenever the
 * process or the machine ends. Throws what the file system says.
 */
export async function saveSnapshot(content: CacheContent, place: SnapshotPlace): Promise<void> {
  const { file, scope, maxBytes = MAX_BYTES } = place
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  // Two processes on one folder must not write into the same file.
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx', 0o600)
  try {
    try {
      for (const batch of batches(content, scope, maxBytes)) {
        // Others have their turn, also where all of it stays out.
        await (batch === '' ? setImmediate() : handle.writeFile(batch))
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
  await syncFolder(dirname(file))
}

function* batches(
  content: CacheContent,
  scope: SnapshotScope,
  maxBytes: number,
): Generator<string> {
  const hash = createHash('sha256')
  let looked = 0
  let lines = 0
  let batch = `${headLine(scope)}\n`
  let left = maxBytes - TAIL_BYTES - batch.length
  for (const line of contentLines(content, scope)) {
    looked += 1
    const size = line === undefined ? 0 : line.length + 1
    if (size > left) break
    if (line !== undefined && size <= MAX_LINE_BYTES) {
      left -= size
      lines += 1
      batch += `${line}\n`
    }
    if (batch.length < BATCH_BYTES && looked % BATCH_ENTRIES !== 0) continue
    hash.update(batch)
    yield batch
    batch = ''
  }
  hash.update(batch)
  yield `${batch}${tailLine(lines, hash)}\n`
}

/** The name is on the disk only when the folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Reads what `saveSnapshot` wrote, all of it or nothing. Where a reference leads is given only if
 * the configuration is the same; what a digest is holds under any. Throws what the file system says,
 * except that there is no file.
 */
export async function loadSnapshot(place: SnapshotPlace): Promise<LoadedSnapshot> {
  try {
    const handle = await openOwnFile(place.file)
    if (handle === undefined) return { state: 'absent' }
    try {
      return await read(handle, place)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (error instanceof ForeignFileError) return damaged(error.message)
    throw error
  }
}

async function read(handle: FileHandle, place: SnapshotPlace): Promise<LoadedSnapshot> {
  const { scope, maxBytes = MAX_BYTES } = place
  const { size } = await handle.stat()
  if (size > maxBytes) return damaged(`it is longer than ${maxBytes} bytes`)
  const hash = createHash('sha256')
  let reader: ContentReader | undefined
  let lines = 0
  /** Held back, since the last one is the checksum of all before it. */
  let last: Buffer | undefined
  for await (const line of linesOf(handle, size)) {
    if (line === undefined) return damaged('it has no end')
    if (last !== undefined) {
      hash.update(last).update('\n')
      if (reader === undefined) {
        const head = parseHead(last.toString())
        if (head?.format !== FORMAT) return damaged('it is not a snapshot')
        if (head.version !== VERSION) return damaged(`it has the version ${head.version}`)
        reader = new ContentReader(scope, head)
      } else {
        if (!reader.read(last.toString())) return damaged(`line ${lines + 2} is not an entry`)
        lines += 1
      }
    }
    last = line
  }
  if (reader === undefined) return damaged('it has no end')
  if (last?.toString() !== tailLine(lines, hash)) {
    return damaged('its checksum is not that of its lines')
  }
  return { state: 'whole', content: reader.content }
}

/** undefined at the end: what comes there is not a whole line, or one is too long to be read. */
async function* linesOf(handle: FileHandle, size: number): AsyncGenerator<Buffer | undefined> {
  let rest = Buffer.alloc(0)
  // It may grow meanwhile, when somebody else writes to it.
  for (let position = 0; position < size; ) {
    const { buffer, bytesRead } = await handle.read({
      buffer: Buffer.allocUnsafe(BATCH_BYTES),
      position,
    })
    if (bytesRead === 0) break
    position += bytesRead
    const chunk = Buffer.concat([rest, buffer.subarray(0, bytesRead)])
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield chunk.subarray(start, end)
      start = end + 1
    }
    rest = chunk.subarray(start)
    if (rest.length > MAX_LINE_BYTES) break
  }
  if (rest.length > 0) yield undefined
}

function tailLine(lines: number, hash: Hash): string {
  return JSON.stringify({ entries: lines, sha256: hash.digest('hex') })
}

function damaged(reason: string): LoadedSnapshot {
  return { state: 'damaged', reason }
}
