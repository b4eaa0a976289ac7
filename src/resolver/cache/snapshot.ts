import { createHash, type Hash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { atMost, type Clock } from '../../concurrency/clock.ts'
import { messageOf } from '../../errors.ts'
import { openTrustedFile } from '../../host/trusted-file.ts'
import { writeWhole } from '../../host/whole-file.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { CacheContent } from '../types.ts'
import type { ResolutionCache } from './cache.ts'
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
  /** Created when missing. */
  readonly folder: string
  /** Of the configuration in force. */
  readonly scope: () => SnapshotScope
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Between two checks for something to save. Default 5 min. */
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

const FILE = 'cache.ndjson'
const MAX_BYTES = 64 * 1024 * 1024
/** What is written, read or taken over in one turn of the event loop. */
const BATCH_ENTRIES = 256
const TAIL_BYTES = 128
const INTERVAL_MS = 300_000
/** A disk that hangs must not keep the service running. */
const CLOSE_LIMIT_MS = 5_000
/** Age of a temporary file that a killed process left; a younger one may still be written. */
const LEFTOVER_MS = 600_000

/**
 * Keeps a cache in one file, so that the next process starts with it. Any failure with that file is a warning:
 * the service then starts with an empty cache, as it does the first time.
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

  /** Loads the snapshot of the last run. Never rejects, and may run while the cache is in use. */
  async restore(): Promise<void> {
    const { cache, logger, scope } = this.#options
    const file = this.#file
    try {
      await this.#removeLeftovers()
      const content = await loadSnapshot({ file, scope: scope() })
      if (content === undefined) return
      const { where, what } = content
      // The least recently used first, so that it is the first to be evicted.
      for (let end = Math.max(where.length, what.length); end > 0; end -= BATCH_ENTRIES) {
        const begin = Math.max(0, end - BATCH_ENTRIES)
        cache.restore({ where: where.slice(begin, end), what: what.slice(begin, end) })
        await setImmediate()
      }
      logger.info({ file, answers: where.length, digests: what.length }, 'cache restored')
    } catch (error) {
      await this.#setAside(messageOf(error))
    }
  }

  /** Saves changes at intervals from now on. */
  start(): void {
    const { clock, intervalMs = INTERVAL_MS } = this.#options
    this.#cancel = clock.after(intervalMs, () => {
      this.start()
      void this.#save()
    })
  }

  /** Saves changes; waits for the disk for 5 s at most. Never rejects. */
  async close(): Promise<void> {
    this.#cancel?.()
    // A save in progress may lack the latest changes.
    const saved = (this.#saving ?? Promise.resolve()).then(() => this.#save())
    await atMost(CLOSE_LIMIT_MS, this.#options.clock, saved)
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
      if (!this.#warned) logger.warn({ file, reason: messageOf(error) }, 'cache not saved')
      this.#warned = true
    }
  }

  /** Only one is kept: a disk that damages every file must not fill up with them. */
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
      // Another process removed it, or the folder does not exist yet.
    }
  }
}

/**
 * Writes what of a cache may outlive this run: a head, a line of JSON for each entry, the most recently used
 * first, and a checksum. The file is complete or the former one, whenever the process or the machine ends.
 *
 * @throws what the file system says
 */
export async function saveSnapshot(content: CacheContent, place: SnapshotPlace): Promise<void> {
  const { file } = place
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  // Two processes on one folder must not write into the same file.
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  await writeWhole(file, temporary, batches(content, place))
}

/** Batches of entries that are looked at, so that the event loop turns between them, also where all are left out. */
function* batches(
  content: CacheContent,
  { scope, maxBytes = MAX_BYTES }: SnapshotPlace,
): Generator<string> {
  const hash = createHash('sha256')
  let batch = `${headLine(scope)}\n`
  let left = maxBytes - TAIL_BYTES - batch.length
  let looked = 0
  let entries = 0
  for (const line of contentLines(content, scope)) {
    looked += 1
    if (line !== undefined) {
      left -= line.length + 1
      if (left < 0) break
      entries += 1
      batch += `${line}\n`
    }
    if (looked % BATCH_ENTRIES !== 0) continue
    hash.update(batch)
    yield batch
    batch = ''
  }
  hash.update(batch)
  yield `${batch}${tailLine(entries, hash)}\n`
}

/**
 * Reads what `saveSnapshot` wrote, all of it or nothing. Where a reference leads counts only under the same
 * configuration; what a digest is holds under any.
 *
 * @returns undefined: there is no file
 * @throws Error that says what is wrong with it; what the file system says
 */
export async function loadSnapshot(place: SnapshotPlace): Promise<SnapshotContent | undefined> {
  const handle = await openTrustedFile(place.file)
  if (handle === undefined) return undefined
  try {
    return await read(handle, place)
  } finally {
    await handle.close()
  }
}

async function read(
  handle: FileHandle,
  { scope, maxBytes = MAX_BYTES }: SnapshotPlace,
): Promise<SnapshotContent> {
  const { size } = await handle.stat()
  if (size > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`)
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size), position: 0 })
  const [first = '', ...lines] = buffer.toString('utf8', 0, bytesRead).split('\n')
  const rest = lines.pop()
  const tail = lines.pop()
  if (rest !== '' || tail === undefined) throw new Error('it has no end')
  const head = parseHead(first)
  if (head?.format !== FORMAT) throw new Error('it is not a snapshot')
  if (head.version !== VERSION) throw new Error(`it has the version ${head.version}`)
  const reader = new ContentReader(scope, head)
  const hash = createHash('sha256').update(`${first}\n`)
  for (let begin = 0; begin < lines.length; begin += BATCH_ENTRIES) {
    const batch = lines.slice(begin, begin + BATCH_ENTRIES)
    const wrong = batch.findIndex((line) => !reader.read(line))
    if (wrong >= 0) throw new Error(`line ${begin + wrong + 2} is not an entry`)
    hash.update(`${batch.join('\n')}\n`)
    await setImmediate()
  }
  if (tail === tailLine(lines.length, hash)) return reader.content
  throw new Error('its checksum is not that of its lines')
}

function tailLine(entries: number, hash: Hash): string {
  return JSON.stringify({ entries, sha256: hash.digest('hex') })
}
