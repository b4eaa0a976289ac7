import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ResolveError } from '../errors.ts'
import { answers } from '../host/unix-socket.ts'
import { unwritable } from '../host/unwritable.ts'
import type { Root } from './root.ts'

const FOLDER = '/var/lib'
const LOCK = 'image-resolver.lock'
/** Also without a process, as earlier versions wrote it. What has another name is not ours. */
const LOCKS = /^image-resolver\.lock(?:\.\d+-[\da-f]{8})?$/

/**
 * Runs something while no other process does so on that node, in another container neither. A lock is a socket that
 * its owner listens on: it ends with its owner, however that ends, and the kernel knows of owners in each PID namespace.
 * Each has a name of its own, which is never used again, so that removing one of a dead owner cannot meet a living one.
 *
 * @throws ResolveError UNAVAILABLE where another process has one; of two that begin at once it may be both; DENIED
 * where none can be made
 */
export async function withLock<T>(root: Root, work: () => Promise<T>): Promise<T> {
  const folder = root.outside(FOLDER)
  const own = `${LOCK}.${process.pid}-${randomBytes(4).toString('hex')}`
  const server = createServer((socket) => socket.destroy())
  const descriptor = openFolder(folder)
  // The path of a socket may have 107 bytes.
  const at = `/proc/self/fd/${descriptor}`
  try {
    await once(server.listen(join(at, `.${own}`)), 'listening').catch((cause: unknown) => {
      throw unwritable(join(folder, own), cause)
    })
    // Under its name it is found only when it listens.
    renameSync(join(at, `.${own}`), join(at, own))
    await refuseOthers(folder, at, own)
    return await work()
  } finally {
    server.close()
    rmSync(join(at, own), { force: true })
    closeSync(descriptor)
  }
}

function openFolder(path: string): number {
  try {
    mkdirSync(path, { recursive: true })
    return openSync(path, 'r')
  } catch (thrown) {
    throw unwritable(path, thrown)
  }
}

async function refuseOthers(folder: string, at: string, own: string): Promise<void> {
  const names = readdirSync(at).filter((name) => LOCKS.test(name))
  for (const name of names) {
    if (name === own) continue
    const stats = lstatSync(join(at, name), { throwIfNoEntry: false })
    if (stats === undefined || !(stats.isFile() || stats.isSocket())) continue
    if (!(await answers(join(at, name)))) {
      rmSync(join(at, name), { force: true })
      continue
    }
    const [, pid = ''] = /\.(\d+)-/.exec(name) ?? []
    const message = `another install or uninstall is running (process ${pid}, ${join(folder, name)})`
    throw new ResolveError('UNAVAILABLE', message)
  }
  if (!names.includes(own)) {
    throw new ResolveError('UNAVAILABLE', `${join(folder, own)} was taken away: try again`)
  }
}
