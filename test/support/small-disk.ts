import { execFile } from 'node:child_process'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { makeFolder, removeFolder, skipLacking } from './stack.ts'

const run = promisify(execFile)

/**
 * A file system of its own for one test.
 *
 * @param options as in mount(8): `size=256k`, `ro`
 * @returns its path; undefined, and the test skipped, where none can be had
 */
export async function mountDisk(t: TestContext, options: string): Promise<string | undefined> {
  const path = makeFolder()
  try {
    await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path])
  } catch {
    await removeFolder(path)
    skipLacking(t, 'mounting a small disk takes root')
    return undefined
  }
  t.after(async () => {
    await run('umount', [path])
    await removeFolder(path)
  })
  return path
}

/** @param options as above */
export async function remountDisk(path: string, options: string): Promise<void> {
  await run('mount', ['-o', `remount,${options}`, path])
}
