import { lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { ResolveError } from '../errors.ts'

/**
 * Makes the path free for a new socket: removes a socket file that nobody listens on, as a killed
 * process leaves it.
 * @throws ResolveError UNAVAILABLE when somebody listens there, CONFIG_INVALID for another file
 */
export async function freeSocketPath(path: string): Promise<void> {
  const stats = await lstat(path).catch(absent)
  if (stats === undefined) return
  if (!stats.isSocket()) {
    throw new ResolveError('CONFIG_INVALID', `${path} is not a socket, and is left alone`)
  }
  if (await isLive(path)) {
    throw new ResolveError('UNAVAILABLE', `another process listens on ${path}`)
  }
  await unlink(path).catch(absent)
}

/** Only a refusal proves that nobody is there: a full backlog or a lack of rights does not. */
function isLive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
