import { open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes a file in one step: a reader sees the old one or the new one, also after a crash of the machine.
 *
 * @param next where it is written first, in the same folder; what is there is removed
 * @throws what the file system says
 */
export async function writeWhole(
  path: string,
  next: string,
  content: string | Iterable<string>,
  mode = 0o600,
): Promise<void> {
  try {
    await rm(next, { force: true })
    // Exclusive: never into a file, or through a link, of another user.
    const file = await open(next, 'wx', mode)
    try {
      await writeFile(file, content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true }).catch(() => {})
    throw error
  }
  await syncFolder(dirname(path))
}

/** A new name is on the disk only when its folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}
