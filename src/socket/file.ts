import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'

/** @returns undefined: there is none, nor perhaps a folder for it */
export async function fileAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** A socket that listens holds its inode, so no other file gets its number, also when it is deleted. */
export function isSameFile(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev
}
