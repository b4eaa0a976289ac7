import { lookup } from 'node:dns/promises'
import { chmod, mkdir } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { parseListen } from '../config/values.ts'
import { type ErrorCode, ResolveError } from '../errors.ts'
import { makeRoom } from '../host/unix-socket.ts'

/** Owner and group: a client that may connect has requests sent with the service's credentials. */
const SOCKET_MODE = 0o660

/**
 * Starts to listen.
 * @param address `host:port`, `[::1]:port`, or `unix:///path`; port 0 takes a free one
 * @returns where it listens: `http://127.0.0.1:9430` or `unix:///path`
 * @throws ResolveError CONFIG_INVALID for an address that makes no sense on this machine,
 * UNAVAILABLE when it is taken, DENIED without the right to it; each names `http.listen`
 */
export async function listenHttp(app: FastifyInstance, address: string): Promise<string> {
  try {
    const where = parseListen(address)
    if (where.kind === 'unix') return await listenUnix(app, where.path)
    const url = await app.listen({ host: where.host, port: where.port })
    if (where.host.toLowerCase() === 'localhost') await listenBeside(app)
    return url
  } catch (thrown) {
    throw listenError(address, thrown)
  }
}

/**
 * `localhost` may be both 127.0.0.1 and ::1, and clients try either. What comes to the other one is served by
 * the same server; where it cannot be had, the first one is enough.
 */
async function listenBeside({ server }: FastifyInstance): Promise<void> {
  const { address: first, port } = server.address() as AddressInfo
  for (const { address: host } of await lookup('localhost', { all: true })) {
    if (host === first) continue
    // As Node's own HTTP server listens.
    const other = createServer({ allowHalfOpen: true, noDelay: true })
    other.on('connection', (socket) => server.emit('connection', socket))
    server.once('close', () => other.close())
    await new Promise((resolve) =>
      other.once('error', resolve).listen({ host, port }, () => resolve(null)),
    )
  }
}

async function listenUnix(app: FastifyInstance, path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await makeRoom(path)
  // The file goes away with the server: Node unlinks it on close.
  await app.listen({ path })
  await chmod(path, SOCKET_MODE)
  return `unix://${path}`
}

const causes: Readonly<Record<string, { readonly code: ErrorCode; readonly text: string }>> = {
  EADDRINUSE: { code: 'UNAVAILABLE', text: 'another process listens there' },
  EACCES: { code: 'DENIED', text: 'no right to listen there' },
  EPERM: { code: 'DENIED', text: 'no right to listen there' },
  EADDRNOTAVAIL: { code: 'CONFIG_INVALID', text: 'this machine has no such address' },
  ENOTFOUND: { code: 'CONFIG_INVALID', text: 'no such host' },
  ENOTDIR: { code: 'CONFIG_INVALID', text: 'a part of the path is no folder' },
  EEXIST: { code: 'CONFIG_INVALID', text: 'a part of the path is no folder' },
}

function listenError(address: string, thrown: unknown): ResolveError {
  const prefix = `http.listen: cannot listen on ${address}:`
  if (thrown instanceof ResolveError) {
    return new ResolveError(thrown.code, `${prefix} ${thrown.message}`, { cause: thrown })
  }
  const error = thrown as NodeJS.ErrnoException
  const cause = causes[error.code ?? '']
  const text = cause?.text ?? error.message
  return new ResolveError(cause?.code ?? 'UNKNOWN', `${prefix} ${text}`, { cause: thrown })
}

/**
 * Serves on a descriptor that listens already, as a socket unit hands it down. Where that is,
 * its mode and its end are up to the unit.
 *
 * @throws ResolveError UNAVAILABLE when it is no socket to listen on
 */
export async function listenOnDescriptor(app: FastifyInstance, fd: number): Promise<string> {
  await app.ready()
  const { server } = app
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void => {
      const problem = `the descriptor ${fd} that was handed down is no socket to listen on`
      reject(new ResolveError('UNAVAILABLE', problem, { cause }))
    }
    server.once('error', refuse)
    server.listen({ fd }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') return `descriptor ${fd}`
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}
