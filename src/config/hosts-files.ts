import { opendir } from 'node:fs/promises'
import { ConfigError } from './problem.ts'

/** The part of a file system that is read. Both reject when something is there and cannot be read. */
export interface HostsFiles {
  /** Names in a folder, in any order; undefined: not there, or no folder. */
  list(folder: string): Promise<readonly string[] | undefined>
  /** A file's text; undefined: not there. */
  read(file: string): Promise<string | undefined>
}

const MAX_NAMES = 1_000

/**
 * The file system. A folder may hold at most 1000 names.
 *
 * @param read rejects with a ConfigError, whose cause tells a file that is not there
 */
export function diskHostsFiles(read: (file: string) => Promise<string>): HostsFiles {
  return {
    list: (folder) => listFolder(folder),
    read: (file) => unlessMissing(read(file)),
  }
}

async function listFolder(path: string): Promise<readonly string[] | undefined> {
  const folder = await unlessMissing(opendir(path))
  if (folder === undefined) return undefined
  const names: string[] = []
  // Leaving the loop closes the folder.
  for await (const { name } of folder) {
    if (names.length === MAX_NAMES) throw new Error(`holds more than ${MAX_NAMES} files`)
    names.push(name)
  }
  return names
}

async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (thrown) {
    const cause: unknown = thrown instanceof ConfigError ? thrown.cause : thrown
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw thrown
  }
}
