import { closeSync, fstatSync, readFileSync, renameSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ForeignFileError, openTrustedFileSync } from '../../host/trusted-file.ts'
import { writeWhole } from '../../host/whole-file.ts'
import type { Logger } from '../../telemetry/log.ts'

/** Some fifty thousand names; a node has a few hundred. */
const MAX_BYTES = 16 * 1024 * 1024
const VERSION = 1

/** All that has to outlive a restart. Names and IDs; never a secret. */
export interface AliasRecords {
  readonly aliases: readonly AliasRecord[]
  readonly mirrors: readonly MirrorRecord[]
  /** Names of mirrors by which a pull was begun that has not been recorded. */
  readonly pending: readonly string[]
  /** The names that each of them was begun for; absent in files of older versions. */
  readonly intended?: Readonly<Record<string, readonly string[]>>
}

export interface AliasRecord {
  /** `docker.io/library/nginx:latest` */
  readonly name: string
  /** The runtime's image ID; absent: no image, whatever the runtime itself has under that name. */
  readonly image?: string
  /** The image that the runtime itself had under this name when another one was named so here. */
  readonly over?: string
}

/** A name that is in the runtime only because an image was pulled by it for another name. */
export interface MirrorRecord {
  readonly name: string
  readonly image: string
}

const NO_RECORDS: AliasRecords = { aliases: [], mirrors: [], pending: [] }

/**
 * What was written last. A file that cannot be understood, or that others may have written, is set
 * aside as `<path>.damaged`, with a warning: images are then pulled again, which mends it.
 */
export function readAliasFile(path: string, log: Pick<Logger, 'warn'>): AliasRecords {
  try {
    const text = readText(path)
    return text === undefined ? NO_RECORDS : parseRecords(text)
  } catch (error) {
    log.warn({ err: error, path }, 'the names of images cannot be read; starting without them')
    if (!(error instanceof DamagedError || error instanceof ForeignFileError)) return NO_RECORDS
  }
  try {
    renameSync(path, `${path}.damaged`)
  } catch (error) {
    log.warn({ err: error, path }, 'the damaged file cannot be set aside')
  }
  return NO_RECORDS
}

/**
 * Replaces the file as a whole; resolves when the disk has it. Readable by its owner alone, since
 * the names of images say what runs here. Not to be called again before it has ended.
 */
export async function writeAliasFile(path: string, records: AliasRecords): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const text = `${JSON.stringify({ version: VERSION, ...records })}\n`
  await writeWhole(path, `${path}.next`, text)
}

class DamagedError extends Error {
  override readonly name = 'DamagedError'
}

function readText(path: string): string | undefined {
  const file = openTrustedFileSync(path)
  if (file === undefined) return undefined
  try {
    const { size } = fstatSync(file)
    if (size > MAX_BYTES) throw new DamagedError(`${size} bytes, at most ${MAX_BYTES} are read`)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

function parseRecords(text: string): AliasRecords {
  const parsed = parseJson(text)
  if (!isObject(parsed) || parsed['version'] !== VERSION) {
    throw new DamagedError(`not a file of version ${VERSION}`)
  }
  const { aliases, mirrors, pending, intended = {} } = parsed
  const isIntended = isObject(intended) && isListOf(Object.values(intended), isNames)
  const isSound =
    isListOf(aliases, isAlias) && isListOf(mirrors, isMirror) && isListOf(pending, isText)
  if (!isSound || !isIntended) {
    throw new DamagedError('a record has another shape than was ever written')
  }
  return { aliases, mirrors, pending, intended: intended as Record<string, string[]> }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DamagedError('not JSON', { cause: error })
  }
}

function isListOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(isItem)
}

function isAlias(value: unknown): value is AliasRecord {
  if (!isObject(value)) return false
  const { name, image, over } = value
  const known = [image, over].filter((id) => id !== undefined)
  return isText(name) && known.length > 0 && known.every(isText)
}

function isMirror(value: unknown): value is MirrorRecord {
  return isObject(value) && isText(value['name']) && isText(value['image'])
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isNames(value: unknown): value is readonly string[] {
  return isListOf(value, isText)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
