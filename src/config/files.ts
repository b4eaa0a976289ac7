import { statSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { ConfigError } from './diagnostics.ts'

/** Where a configuration is looked for when none is named; the second is image-cri-shim's. */
const DEFAULT_FILES = ['/etc/image-resolver.yaml', '/etc/image-cri-shim.yaml'] as const

const MAX_FILE_BYTES = 1024 * 1024

/**
 * The file to read: the one named, else the first default one that is there, else undefined. A
 * named one is returned unseen, so that reading it tells what is wrong with it.
 */
export async function findConfigFile({
  explicit,
  exists = fileExists,
}: {
  readonly explicit?: string
  readonly exists?: (path: string) => Promise<boolean>
} = {}): Promise<string | undefined> {
  if (explicit !== undefined) return explicit
  for (const file of DEFAULT_FILES) {
    if (await exists(file)) return file
  }
  return undefined
}

/**
 * Reads a configuration file: UTF-8, at most 1 MiB.
 *
 * @throws ConfigError saying why it cannot be read
 */
export async function readConfigFile(file: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readBytes(file)
  } catch (thrown) {
    throw unusable(file, describe(thrown), thrown)
  }
  if (bytes.length > MAX_FILE_BYTES) throw unusable(file, 'larger than 1 MiB')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (thrown) {
    throw unusable(file, 'not UTF-8 text', thrown)
  }
}

/** Whether a unix socket is there; not whether it is served. */
export function socketExists(path: string): boolean {
  try {
    return statSync(path).isSocket()
  } catch {
    return false
  }
}

/** One byte more than is allowed, at most, is read: a device has no size and no end. */
async function readBytes(file: string): Promise<Buffer> {
  // Opening a pipe would wait for its writer, perhaps for ever.
  const kind = await stat(file)
  if (!kind.isFile() && !kind.isCharacterDevice()) throw new Error('not a regular file')
  const handle = await open(file)
  try {
    // `end` counts in.
    return await buffer(handle.createReadStream({ end: MAX_FILE_BYTES, autoClose: false }))
  } finally {
    await handle.close()
  }
}

/** A file that is there but may not be looked at counts as there: the reading then says so. */
async function fileExists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (thrown) {
    return errorCode(thrown) !== 'ENOENT' && errorCode(thrown) !== 'ENOTDIR'
  }
}

function describe(thrown: unknown): string {
  const code = errorCode(thrown)
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it'
  if (code !== undefined) return `cannot be read (${code})`
  return `cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`
}

function errorCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}

function unusable(file: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError(file, [{ line: 0, path: '', message }], cause)
}
