import { chmod, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { parseListen } from '../config/addresses.ts'
import { type ErrorCode, ResolveError } from '../errors.ts'
import { makeRoom } from '../socket.ts'

/** Owner and group: who may connect may ask with the service's credentials. */
const SOCKET_MODE = 0o660

/**
 * Opens the door.
 * @param address `host:port`, `[::1]:port`, or `unix:///path`; port 0 takes a free one
 * @returns where it listens: `http://127.0.0.1:9430` or `unix:///path`
 * @throws ResolveError CONFIG_INVALID for an address that makes no sense on this machine,
 * UNAVAILABLE when it is taken, DENIED without the right to it; each names `http.listen`
 */
export async function listenHttp(app: FastifyInstance, address: string): Promise<string> {
  try {
    const where = parseListen(address)
    if (where.kind === 'unix') return await listenUnix(app, where.path)
    return await app.listen({ host: where.host, port: where.port })
  } catch (thrown) {
    throw listenError(address, thrown)
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
