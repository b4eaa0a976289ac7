import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** What stands in the place of a file that only this service writes, and is none of its making. */
export class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError'
}

// A link may lead anywhere, and a pipe would hold a thread until it is written to.
const CAREFULLY = constants.O_NOFOLLOW | constants.O_NONBLOCK
const MODE = 0o600

/**
 * Opens a file of the state folder. Every user that may write it could say which image a name or a digest
 * is, so it has to be a regular file of this user or root, that no other user may write.
 *
 * @param flags as in open(2); default: to read
 * @returns undefined: there is no such file, and none is to be made
 * @throws ForeignFileError; else what the file system says
 */
export async function openTrustedFile(
  path: string,
  flags: number = constants.O_RDONLY,
): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(path, flags | CAREFULLY, MODE)
  } catch (error) {
    return refusal(error, flags)
  }
  try {
    assertTrusted(await file.stat())
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** As openTrustedFile, at once. @returns a descriptor to read from */
export function openTrustedFileSync(path: string): number | undefined {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | CAREFULLY)
  } catch (error) {
    return refusal(error, constants.O_RDONLY)
  }
  try {
    assertTrusted(fstatSync(file))
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function refusal(error: unknown, flags: number): undefined {
  const { code } = error as NodeJS.ErrnoException
  // ENOTDIR: nor is there a folder for it.
  const isAbsent = code === 'ENOENT' || code === 'ENOTDIR'
  if (isAbsent && (flags & constants.O_CREAT) === 0) return undefined
  if (code === 'ELOOP') throw new ForeignFileError('it is a symbolic link', { cause: error })
  throw error
}

function assertTrusted(stats: Stats): void {
  if (!stats.isFile()) throw new ForeignFileError('it is not a file')
  const owners = [0, process.geteuid?.()]
  if (!owners.includes(stats.uid) || (stats.mode & 0o022) !== 0) {
    throw new ForeignFileError('others than this user may write it')
  }
}
