import { constants } from 'node:fs'
import { type FileHandle, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ForeignFileError, openTrustedFile } from '../../host/trusted-file.ts'
import { syncFolder } from '../../host/whole-file.ts'
import type { Logger } from '../../telemetry/log.ts'

/** Thousands of interrupted pulls. A larger file was not written here. */
const MAX_BYTES = 4 * 1024 * 1024
/** What is done is written with the next pull that begins, else after this time. */
const REST_MS = 1_000

/**
 * The mirrors' names that pulls bring into the runtime, from before the pull until the name is deleted, so
 * that the next start can repair an interrupted one. Nothing here throws: a journal that cannot be written
 * is a warning, and a mirror's name may then stay.
 */
export interface LeaseJournal {
  /**
   * @param wanted the names that the image is to have
   * @returns resolves when it is on the disk
   */
  begin(name: string, wanted: readonly string[]): Promise<void>
  has(name: string): Promise<boolean>
  /** Every name that was begun and not done, with all names that were wanted. */
  left(): Promise<ReadonlyMap<string, readonly string[]>>
  /** On the disk within a second: after a crash before that there is nothing left to repair of it. */
  done(name: string): void
  /** Resolves when all that is done is written: what comes to be of that name from now on is not taken for its rest. */
  written(): Promise<void>
}

/** For a process that pulls nothing. */
export const NO_JOURNAL: LeaseJournal = {
  begin: async () => {},
  has: async () => false,
  left: async () => new Map(),
  done: () => {},
  written: async () => {},
}

/**
 * @param folder where `claims.jsonl` is kept; made when something is to be written
 * @param later calls back once, after a second
 */
export function openLeaseJournal(
  folder: string,
  log: Pick<Logger, 'warn'>,
  later: (work: () => void) => unknown = (work) => setTimeout(work, REST_MS).unref(),
): LeaseJournal {
  const path = join(folder, 'claims.jsonl')
  const entries = new Map<string, readonly string[]>()
  let lines = ''
  let mustSync = false
  let isMade = false
  // The file of an earlier process, or of a full disk, may lack the end of its last line.
  let isWhole = false
  let isBroken = false
  let last: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  let loaded: Promise<void> | undefined
  let isResting = false

  const load = (): Promise<void> => {
    loaded ??= quietly(async () => {
      for (const entry of await trustedEntries()) apply(entries, entry)
    })
    return loaded
  }

  /** A file that another user can write is not trusted. */
  async function trustedEntries(): Promise<readonly Entry[]> {
    try {
      return await readEntries(path)
    } catch (err) {
      if (!(err instanceof ForeignFileError)) throw err
      log.warn({ err, path }, 'the journal of pulls is not believed; starting without it')
      await rename(path, `${path}.damaged`)
      return []
    }
  }

  function quietly(work: () => Promise<void>): Promise<void> {
    return work().catch((err: unknown) => {
      if (!isBroken) log.warn({ err, path }, 'the journal of pulls cannot be used')
      isBroken = true
    })
  }

  /** Lines that are added before or during a write go into the next one together. */
  function write(isDurable: boolean): Promise<void> {
    mustSync ||= isDurable
    next ??= last.then(() => {
      const batch = lines
      const sync = mustSync
      next = undefined
      lines = ''
      mustSync = false
      return quietly(() => flush(batch, sync))
    })
    last = next
    return next
  }

  async function flush(batch: string, sync: boolean): Promise<void> {
    // No pull is under way, so nothing has to be recorded.
    if (entries.size === 0 && !sync) return within(path, WRITE, (file) => file.truncate())
    if (!isMade) await mkdir(folder, { recursive: true, mode: 0o700 })
    await within(path, APPEND, async (file) => {
      const cut = isWhole ? '' : '\n'
      isWhole = false
      await file.appendFile(cut + batch)
      isWhole = true
      if (sync) await file.datasync()
    })
    if (sync && !isMade) await syncFolder(folder)
    isMade ||= sync
  }

  async function written(): Promise<void> {
    await (lines === '' ? last : write(false))
  }

  return {
    begin: async (name, wanted) => {
      await load()
      const entry = { begin: name, wanted }
      apply(entries, entry)
      lines += `${JSON.stringify(entry)}\n`
      await write(true)
    },
    has: async (name) => {
      await load()
      return entries.has(name)
    },
    left: async () => {
      await load()
      return new Map(entries)
    },
    done: (name) => {
      if (!entries.delete(name)) return
      lines += `${JSON.stringify({ done: name })}\n`
      if (isResting) return
      isResting = true
      later(() => {
        isResting = false
        void written()
      })
    },
    written,
  }
}

const { O_APPEND, O_CREAT, O_RDONLY, O_WRONLY } = constants
const WRITE = O_WRONLY
const APPEND = O_WRONLY | O_APPEND | O_CREAT

/** @returns undefined: there is no such file */
async function within<T>(
  path: string,
  flags: number,
  work: (file: FileHandle) => Promise<T>,
): Promise<T | undefined> {
  const file = await openTrustedFile(path, flags)
  try {
    return file === undefined ? undefined : await work(file)
  } finally {
    await file?.close()
  }
}

interface Entry {
  readonly begin?: string
  readonly wanted?: readonly string[]
  readonly done?: string
}

function apply(entries: Map<string, readonly string[]>, { begin, wanted = [], done }: Entry): void {
  if (done !== undefined) entries.delete(done)
  if (begin !== undefined) {
    entries.set(begin, [...new Set([...(entries.get(begin) ?? []), ...wanted])])
  }
}

/** A line that was cut short belongs to a pull that did not begin. */
async function readEntries(path: string): Promise<readonly Entry[]> {
  const text = await within(path, O_RDONLY, async (file) => {
    const { size } = await file.stat()
    if (size > MAX_BYTES) throw new Error(`${size} bytes, at most ${MAX_BYTES} are read`)
    return file.readFile('utf8')
  })
  return (text ?? '').split('\n').flatMap(parseEntry)
}

function parseEntry(line: string): readonly Entry[] {
  try {
    const entry: unknown = JSON.parse(line)
    return isEntry(entry) ? [entry] : []
  } catch {
    return []
  }
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null) return false
  const { begin = '', done = '', wanted = [] } = value as Record<string, unknown>
  const names = [begin, done, ...(Array.isArray(wanted) ? wanted : [undefined])]
  return names.every((name) => typeof name === 'string')
}
