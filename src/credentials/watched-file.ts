import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { LRUCache } from 'lru-cache'
import { readAtMost } from '../config/files.ts'
import { codeOf, ResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'

export interface WatchedFileOptions<T> {
  readonly file: string
  readonly limitBytes: number
  /**
   * @param note says what is wrong with a part of it that is left out, without secrets
   * @throws ResolveError CONFIG_INVALID; its message says what is wrong with the whole, without secrets
   */
  readonly parse: (text: string, note: (reason: string) => void) => T
  readonly now: () => number
  readonly warnOnce: WarnOnce
}

const LOOK_INTERVAL_MS = 1_000

/**
 * The content of a file now. `read` looks at the file at most once a second, and reads it again when it
 * has changed. A missing file counts as empty. Invalid content, perhaps half written, leaves the last
 * good one in force. Each is logged once.
 */
export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined
  #stamp: string | undefined
  #value: T | undefined

  constructor(options: WatchedFileOptions<T>) {
    this.#options = options
  }

  async read(): Promise<T | undefined> {
    // A clock that was set back must not make the file stand still.
    if (Math.abs(this.#options.now() - this.#lookedAt) >= LOOK_INTERVAL_MS) {
      this.#lookedAt = this.#options.now()
      this.#looking = this.#look()
    }
    await this.#looking
    return this.#value
  }

  async #look(): Promise<void> {
    const { file, limitBytes, parse, warnOnce } = this.#options
    try {
      const seen = await readChanged(file, limitBytes, this.#stamp)
      if (seen === undefined) return
      this.#stamp = seen.stamp
      const notes = new Set<string>()
      this.#value = parse(textOf(seen.bytes, limitBytes), (reason) => notes.add(reason))
      warnOnce.settle(file)
      for (const reason of notes) {
        warnOnce.warn(file, 'a part of a file of credentials cannot be used', { file, reason })
      }
    } catch (thrown) {
      if (!(thrown instanceof ResolveError && thrown.code === 'CONFIG_INVALID')) {
        this.#stamp = undefined
        this.#value = undefined
      }
      const fields = { file, reason: reasonOf(thrown) }
      warnOnce.warn(file, 'a file of credentials cannot be used', fields)
    }
  }
}

interface Seen {
  readonly stamp: string
  readonly bytes: Buffer
}

/** undefined: as it was. One byte more than the limit is read, at most. */
async function readChanged(
  file: string,
  limitBytes: number,
  stamp: string | undefined,
): Promise<Seen | undefined> {
  // Opening a pipe would otherwise wait for its writer, perhaps for ever.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = await handle.stat({ bigint: true })
    if (!stat.isFile()) throw new ResolveError('UNAVAILABLE', 'not a regular file')
    const seen = `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`
    if (seen === stamp) return undefined
    return { stamp: seen, bytes: await readAtMost(handle, limitBytes + 1) }
  } finally {
    await handle.close()
  }
}

function textOf(bytes: Buffer, limitBytes: number): string {
  if (bytes.length > limitBytes) {
    throw new ResolveError('CONFIG_INVALID', `larger than ${limitBytes / 1024} KiB`)
  }
  if (!isUtf8(bytes)) throw new ResolveError('CONFIG_INVALID', 'not UTF-8 text')
  return bytes.toString()
}

/** Other messages may repeat the content of the file. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof ResolveError) return thrown.message
  const code = codeOf(thrown)
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it'
  return code === undefined ? 'cannot be read' : `cannot be read (${code})`
}

const MAX_WARNINGS = 1_000

interface Fields {
  readonly reason: string
  readonly file?: string
  readonly helper?: string
  readonly provider?: string
}

/** Warnings, each of which is given once as long as its cause lasts. */
export class WarnOnce {
  readonly #logger: Pick<Logger, 'warn'>
  readonly #reasons = new LRUCache<string, Set<string>>({ max: MAX_WARNINGS })

  constructor(logger: Pick<Logger, 'warn'>) {
    this.#logger = logger
  }

  /**
   * @param subject what it is about: a path, a program's name
   * @param fields without secrets
   */
  warn(subject: string, message: string, fields: Fields): void {
    const key = `${message} ${fields.reason}`
    const reasons = this.#reasons.get(subject) ?? new Set()
    if (reasons.has(key)) return
    // Reasons are of a handful of kinds; a program that invents exit codes starts over.
    if (reasons.size >= MAX_WARNINGS) reasons.clear()
    this.#reasons.set(subject, reasons.add(key))
    this.#logger.warn(fields, message)
  }

  /** All is well with it; what happens next is news again. */
  settle(subject: string): void {
    this.#reasons.delete(subject)
  }
}
