import { randomBytes } from 'node:crypto'
import { chmod, chown, link, mkdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import { codeOf, ResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'
import {
  fileAt,
  isSameFile,
  type MadeSocket,
  SelfHealingSocket,
  type SelfHealingSocketOptions,
} from './self-healing-socket.ts'
import { withSharedReads } from './shared-reads.ts'

/** What fits into sockaddr_un on Linux without its closing zero; libuv cuts longer ones silently. */
const MAX_PATH_BYTES = 107
const DEFAULT_MODE = 0o660
const CONNECT_TIMEOUT_MS = 2_000

interface SocketOptions {
  readonly path: string
  /** A descriptor that listens already; then nothing is made at `path`, and nothing removed. */
  readonly fd?: number | undefined
  /** The socket from which owner and mode are copied, when it is there: the runtime's. Else mode 0660. */
  readonly like?: string
  /** Its reads are those of withSharedReads. */
  readonly onConnection: (connection: Socket) => void
  readonly logger: Logger
  /** As in SelfHealingSocketOptions. */
  readonly after?: SelfHealingSocketOptions['after']
}

export interface ListeningSocket {
  readonly path: string
  /** Why no client can connect at the path any more; undefined: they can. */
  unavailableReason(): string | undefined
  /** Accepts no more connections and removes the file if it is still the one made here. */
  close(): Promise<void>
}

/**
 * Listens on a unix socket, and goes on listening at its path when the file there gets lost. The
 * folder is made when missing. The socket is bound under another name and linked to its own only
 * when owner and mode are right, so no client ever sees it otherwise.
 *
 * A dead socket in the place is replaced. Errors: UNAVAILABLE when it is served, or when the
 * place cannot be used; DENIED without the right to it; CONFIG_INVALID when something else than a
 * socket is there, which is left alone, or when the path is too long for a socket.
 */
export async function listenOnSocket(options: SocketOptions): Promise<ListeningSocket> {
  const { path, fd, onConnection, logger, after } = options
  if (fd !== undefined) return adopt(fd, path, onConnection)
  const make = (closing: AbortSignal): Promise<MadeSocket> => makeSocket(options, closing)
  return SelfHealingSocket.open({ path, make, logger, after })
}

async function makeSocket(options: SocketOptions, closing: AbortSignal): Promise<MadeSocket> {
  const { path, like, onConnection, logger } = options
  const bound = join(dirname(path), temporaryName(path))
  for (const each of [path, bound]) refuseTooLong(each)

  const server = createServer({ pauseOnConnect: true }, (connection) => {
    if (closing.aborted) connection.destroy()
    else onConnection(withSharedReads(connection))
  })
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 })
    await makeRoom(path)
    await listen(server, { path: bound })
    await dress(bound, like, logger)
    const file = await stat(bound)
    await link(bound, path).catch((error: unknown) => {
      throw codeOf(error) === 'EEXIST' ? inUse(path) : error
    })
    await rm(bound, { force: true })
    return { server, file }
  } catch (error) {
    server.close()
    throw explained(error, path)
  }
}

/** As long as the name itself, up to a point: so it fits wherever the path fits. */
function temporaryName(path: string): string {
  const length = Math.min(Math.max(basename(path).length - 1, 5), 16)
  return `.${randomBytes(length).toString('hex').slice(0, length)}`
}

function refuseTooLong(path: string): void {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return
  const message = `the socket path ${path} is longer than ${MAX_PATH_BYTES} bytes, the system's limit; choose a shorter one`
  throw new ResolveError('CONFIG_INVALID', message)
}

/** Its owner decides about its rights and removes it; clients wait in its queue while the service restarts. */
async function adopt(
  fd: number,
  path: string,
  onConnection: (connection: Socket) => void,
): Promise<ListeningSocket> {
  const server = createServer({ pauseOnConnect: true }, (connection) => {
    onConnection(withSharedReads(connection))
  })
  try {
    await listen(server, { fd })
  } catch (error) {
    throw explained(error, `${path} (handed down as descriptor ${fd})`)
  }
  return {
    path,
    // Its file belongs to the program that made it.
    unavailableReason: () => undefined,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

function listen(
  server: Server,
  where: { readonly path: string } | { readonly fd: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/**
 * Makes room for a socket at `path`: a dead one is removed. Errors: UNAVAILABLE when one there is
 * served, CONFIG_INVALID when something else than a socket is there, which is left alone.
 */
export async function makeRoom(path: string): Promise<void> {
  const found = await fileAt(path)
  if (found === undefined) return
  if (!found.isSocket()) {
    const message = `${path} exists and is not a socket; remove it or choose another path in the configuration`
    throw new ResolveError('CONFIG_INVALID', message)
  }
  if (await answers(path)) throw inUse(path)

  // Two instances may have found the same dead file; the one that comes second must not throw out
  // the living socket that the first has put there since. So look at what was really taken away.
  const aside = join(dirname(path), temporaryName(path))
  await rename(path, aside)
  const taken = await stat(aside)
  if (isSameFile(taken, found)) return unlink(aside)
  await rename(aside, path)
  throw inUse(path)
}

function inUse(path: string): ResolveError {
  const message = `another instance serves ${path}; stop it first or choose another path in the configuration`
  return new ResolveError('UNAVAILABLE', message)
}

/** Whether a server takes connections there. A full backlog (EAGAIN) is a server too. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.setTimeout(CONNECT_TIMEOUT_MS)
    const settle = (alive: boolean): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.once('connect', () => settle(true))
    socket.once('timeout', () => settle(true))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') settle(false)
      else if (error.code === 'EAGAIN') settle(true)
      else reject(error)
    })
  })
}

/** Owner and mode are those of the runtime's socket. */
async function dress(path: string, like: string | undefined, logger: Logger): Promise<void> {
  const model = like === undefined ? undefined : await stat(like).catch(() => undefined)
  if (model !== undefined) {
    await chown(path, model.uid, model.gid).catch((error: unknown) => {
      logger.warn({ path, like, err: error }, 'the owner of the runtime socket was not copied')
    })
  }
  await chmod(path, model === undefined ? DEFAULT_MODE : model.mode & 0o777)
}

/** Never with the name of the temporary file in it, which is another one each time. */
function explained(error: unknown, path: string): ResolveError {
  if (error instanceof ResolveError) return error
  if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM') {
    const message = `no right to make the socket ${path}; run as root or choose another path in the configuration`
    return new ResolveError('DENIED', message, { cause: error })
  }
  const { errno, message = String(error) } = error as NodeJS.ErrnoException
  const reason = getSystemErrorMap().get(errno ?? 0)?.[1] ?? message
  return new ResolveError('UNAVAILABLE', `the socket ${path} cannot be opened: ${reason}`, {
    cause: error,
  })
}
