import { createHash, type Hash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../concurrency/clock.ts'
import { ForeignFileError, openTrustedFile } from '../../host/trusted-file.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { CacheContent, ResolutionCache } from './cache.ts'
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

export interface CacheSnapshotOptions {
  readonly cache: ResolutionCache
  /** Made when missing. */
  readonly folder: string
  /** Of the configuration in force. */
  readonly scope: () => SnapshotScope
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Between two looks at whether there is something to save. Default 5 min. */
  readonly intervalMs?: number
  /** Default: into a file. */
  readonly save?: typeof saveSnapshot
}

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

const FILE = 'cache.ndjson'
const MAX_BYTES = 64 * 1024 * 1024
/** What is made, read or taken over in one turn of the event loop. */
const BATCH_BYTES = 64 * 1024
const BATCH_ENTRIES = 256
const TAIL_BYTES = 128
const NEWLINE = 0x0a
const INTERVAL_MS = 300_000
/** A disk that hangs must not keep the service from ending. */
const CLOSE_LIMIT_MS = 5_000
/** Age of a file that a killed process left behind; a younger one may still be written. */
const LEFTOVER_MS = 600_000

/**
 * Lets a cache outlive its process, in one file. Nothing that goes wrong with that file is more than a
 * warning: the service then starts with an empty cache, as it does the first time.
 */
export class CacheSnapshot {
  readonly #options: CacheSnapshotOptions
  readonly #file: string
  #cancel: (() => void) | undefined
  #saving: Promise<void> | undefined
  #saved: number
  #warned = false

  constructor(options: CacheSnapshotOptions) {
    this.#options = options
    this.#file = join(options.folder, FILE)
    this.#saved = options.cache.changes
  }

  /** Takes over what the last run left. Never rejects, and may run while questions are answered. */
  async restore(): Promise<void> {
    const { cache, logger, scope } = this.#options
    const file = this.#file
    try {
      await this.#removeLeftovers()
      const loaded = await loadSnapshot({ file, scope: scope() })
      if (loaded.state === 'absent') return
      if (loaded.state === 'damaged') return await this.#setAside(loaded.reason)
      const { where, what } = loaded.content
      // The least recently used first, so that it is the first to go.
      for (let end = Math.max(where.length, what.length); end > 0; end -= BATCH_ENTRIES) {
        const begin = Math.max(0, end - BATCH_ENTRIES)
        cache.restore({ where: where.slice(begin, end), what: what.slice(begin, end) })
        await setImmediate()
      }
      logger.info({ file, answers: where.length, digests: what.length }, 'cache restored')
    } catch (error) {
      await this.#setAside(reasonOf(error))
    }
  }

  /** Saves at intervals from now on, if there is something new. */
  start(): void {
    const { clock, intervalMs = INTERVAL_MS } = this.#options
    this.#cancel = clock.after(intervalMs, () => {
      this.start()
      void this.#save()
    })
  }

  /** Saves what is new; waits no longer than 5 s for the disk. Never rejects. */
  async close(): Promise<void> {
    this.#cancel?.()
    const { clock } = this.#options
    let cancelLimit = (): void => {}
    const limit = new Promise<void>((resolve) => {
      cancelLimit = clock.after(CLOSE_LIMIT_MS, resolve)
    })
    // What is being saved may lack the newest.
    const saved = (this.#saving ?? Promise.resolve()).then(() => this.#save())
    await Promise.race([saved, limit])
    cancelLimit()
  }

  #save(): Promise<void> {
    this.#saving ??= this.#saveChanges().finally(() => {
      this.#saving = undefined
    })
    return this.#saving
  }

  async #saveChanges(): Promise<void> {
    const { cache, logger, save = saveSnapshot, scope } = this.#options
    const { changes } = cache
    if (changes === this.#saved) return
    const file = this.#file
    try {
      await save(cache.content(), { file, scope: scope() })
      this.#saved = changes
      this.#warned = false
    } catch (error) {
      if (!this.#warned) logger.warn({ file, reason: reasonOf(error) }, 'cache not saved')
      this.#warned = true
    }
  }

  /** One only: a disk that damages every file must not fill up with them. */
  async #setAside(reason: string): Promise<void> {
    const file = this.#file
    const kept = await rename(file, `${file}.damaged`).then(
      () => true,
      () => false,
    )
    this.#options.logger.warn({ file, reason, setAside: kept }, 'cache not restored')
  }

  async #removeLeftovers(): Promise<void> {
    const { clock, folder } = this.#options
    try {
      for (const name of await readdir(folder)) {
        if (!name.startsWith(`${FILE}.`) || !name.endsWith('.tmp')) continue
        const path = join(folder, name)
        const { mtimeMs } = await stat(path)
        if (clock.now() - mtimeMs > LEFTOVER_MS) await unlink(path)
      }
    } catch {
      // Another process was faster, or the folder is not there yet.
    }
  }
}

/**
 * Writes what of a cache may outlive this run: a head, a line of JSON for each entry, the most
 * recently used first, and a checksum. The file is complete or it is the former one, whenever the
 * process or the machine ends. Throws what the file system says.
 */
export async function saveSnapshot(content: CacheContent, place: SnapshotPlace): Promise<void> {
  const { file } = place
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  // Two processes on one folder must not write into the same file.
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx', 0o600)
  try {
    try {
      await write(handle, content, place)
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

async function write(
  handle: FileHandle,
  content: CacheContent,
  { scope, maxBytes = MAX_BYTES }: SnapshotPlace,
): Promise<void> {
  const hash = createHash('sha256')
  let batch = `${headLine(scope)}\n`
  let left = maxBytes - TAIL_BYTES - batch.length
  let looked = 0
  let entries = 0
  for (const line of contentLines(content, scope)) {
    looked += 1
    const size = line === undefined ? 0 : line.length + 1
    if (size > left) break
    if (line !== undefined) {
      left -= size
      entries += 1
      batch += `${line}\n`
    }
    if (batch.length < BATCH_BYTES && looked % BATCH_ENTRIES !== 0) continue
    hash.update(batch)
    // The event loop turns, also where all of the batch stays out.
    await (batch === '' ? setImmediate() : handle.writeFile(batch))
    batch = ''
  }
  hash.update(batch)
  await handle.writeFile(`${batch}${tailLine(entries, hash)}\n`)
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
    const handle = await openTrustedFile(place.file)
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

async function read(
  handle: FileHandle,
  { scope, maxBytes = MAX_BYTES }: SnapshotPlace,
): Promise<LoadedSnapshot> {
  const { size } = await handle.stat()
  if (size > maxBytes) return damaged(`it is longer than ${maxBytes} bytes`)
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size + 1), position: 0 })
  const bytes = buffer.subarray(0, Math.min(bytesRead, size))
  // The last line is the checksum of all before it.
  const end = bytes.lastIndexOf(NEWLINE, -2) + 1
  if (bytes.at(-1) !== NEWLINE || end === 0) return damaged('it has no end')
  let start = bytes.indexOf(NEWLINE) + 1
  const head = parseHead(bytes.toString('utf8', 0, start - 1))
  if (head?.format !== FORMAT) return damaged('it is not a snapshot')
  if (head.version !== VERSION) return damaged(`it has the version ${head.version}`)
  const reader = new ContentReader(scope, head)
  const hash = createHash('sha256')
  let hashed = 0
  let entries = 0
  while (start < end) {
    const next = bytes.indexOf(NEWLINE, start)
    if (!reader.read(bytes.toString('utf8', start, next))) {
      return damaged(`line ${entries + 2} is not an entry`)
    }
    entries += 1
    start = next + 1
    if (entries % BATCH_ENTRIES !== 0) continue
    hash.update(bytes.subarray(hashed, start))
    hashed = start
    await setImmediate()
  }
  hash.update(bytes.subarray(hashed, end))
  return bytes.toString('utf8', end) === `${tailLine(entries, hash)}\n`
    ? { state: 'whole', content: reader.content }
    : damaged('its checksum is not that of its lines')
}

function tailLine(entries: number, hash: Hash): string {
  return JSON.stringify({ entries, sha256: hash.digest('hex') })
}

function damaged(reason: string): LoadedSnapshot {
  return { state: 'damaged', reason }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
