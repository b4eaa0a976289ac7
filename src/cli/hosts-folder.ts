import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isOwnHosts } from '../config/own-hosts.ts'
import { ResolveError } from '../errors.ts'
import type { HostsFolder } from './hosts-plan.ts'

export interface WrittenHosts {
  readonly file: string
  readonly outcome: 'written' | 'as it was'
}

/**
 * Writes hosts.toml files, each of them whole or not at all. containerd reads them at the next pull.
 *
 * @param force also replace files that somebody else wrote
 * @param directory where it is written; made when the folder above it is there
 * @throws ResolveError DENIED when there is such a file, and then nothing is written; DENIED, too, for a
 * folder that cannot be written to
 */
export async function writeHosts(
  directory: string,
  folders: readonly HostsFolder[],
  force: boolean,
): Promise<readonly WrittenHosts[]> {
  await checkFolder(directory)
  const wanted = await Promise.all(
    folders.map(async ({ name, text }) => {
      const file = join(directory, name, 'hosts.toml')
      return { file, folder: join(directory, name), text, there: await textOf(file) }
    }),
  )
  const foreign = wanted.filter(({ there }) => there !== undefined && !isOwnHosts(there))
  if (foreign.length > 0 && !force) {
    const files = foreign.map(({ file }) => file).join(', ')
    const how = 'nothing was written; choose another folder, or replace them with --force'
    throw new ResolveError('DENIED', `not written by image-resolver: ${files}: ${how}`)
  }
  const results: WrittenHosts[] = []
  for (const { file, folder, text, there } of wanted) {
    if (there !== text) {
      await replace(file, folder, text).catch((thrown: unknown) => {
        throw unwritable(file, thrown)
      })
    }
    results.push({ file, outcome: there === text ? 'as it was' : 'written' })
  }
  return results
}

/** Node 20 never comes back from a recursive mkdir below /proc. */
async function checkFolder(directory: string): Promise<void> {
  const kind = await stat(directory).catch((thrown: unknown) => {
    if (codeOf(thrown) !== 'ENOENT') throw unwritable(directory, thrown)
    return mkdir(directory, { mode: 0o755 }).catch((cause: unknown) => {
      throw unwritable(directory, cause)
    })
  })
  if (kind?.isDirectory() === false) {
    throw new ResolveError('DENIED', `${directory} is no folder; name one with --write`)
  }
}

function unwritable(path: string, cause: unknown): ResolveError {
  const code = codeOf(cause)
  const why = WHY[code ?? ''] ?? `it fails with ${code ?? 'no code'}`
  return new ResolveError('DENIED', `${path} cannot be written: ${why}`, { cause })
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'no right to it; try it as root',
  EPERM: 'no right to it; try it as root',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOENT: 'the folder above it is not there',
  ENOTDIR: 'a part of its path is no folder',
}

function codeOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : undefined
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw unwritable(file, thrown)
  }
}

async function replace(file: string, folder: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const next = `${file}.${process.pid}.new`
  try {
    const handle = await open(next, 'w', 0o644)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(next, file)
  } catch (thrown) {
    await rm(next, { force: true })
    throw thrown
  }
}
