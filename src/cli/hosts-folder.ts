import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
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
 * @throws ResolveError DENIED when there is such a file, and then nothing is written
 */
export async function writeHosts(
  directory: string,
  folders: readonly HostsFolder[],
  force: boolean,
): Promise<readonly WrittenHosts[]> {
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
    if (there !== text) await replace(file, folder, text)
    results.push({ file, outcome: there === text ? 'as it was' : 'written' })
  }
  return results
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
    if (code === 'ENOENT') return undefined
    throw thrown
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
