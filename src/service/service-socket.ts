import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { type ListenAddress, parseListen } from '../config/addresses.ts'
import type { HttpConfig } from '../config/config.ts'
import { ResolveError } from '../errors.ts'

/** Who can be there answers at once: it is this machine, or close by. */
const CONNECT_LIMIT_MS = 2_000
const NOBODY: readonly (string | undefined)[] = ['ECONNREFUSED', 'ENOENT', 'EADDRNOTAVAIL']

/** Where the service of a configuration answers: `http://127.0.0.1:9430`, or `unix:///path`. */
export function serviceUrl({ listen, tls }: Pick<HttpConfig, 'listen' | 'tls'>): string {
  const where = parseListen(listen)
  if (where.kind === 'unix') return `unix://${where.path}`
  const { host, port } = reachable(where)
  const scheme = tls === undefined ? 'http' : 'https'
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/**
 * A connection to that service. With TLS it is made sure that who answers shows the very certificate
 * that the configuration names, whatever name is in it: the token is for nobody else.
 *
 * @throws ResolveError UNAVAILABLE when nobody listens there, DENIED without the right to it or when
 * somebody else does
 */
export async function connectToService(http: Pick<HttpConfig, 'listen' | 'tls'>): Promise<Socket> {
  const where = parseListen(http.listen)
  const url = serviceUrl(http)
  if (where.kind === 'tcp' && where.port === 0) {
    const why = 'it takes any free port, so that nobody can know which'
    throw new ResolveError('UNAVAILABLE', `http.listen ${http.listen}: ${why}`)
  }
  const expected = http.tls === undefined ? undefined : await readCertificate(http.tls.certFile)
  const target = where.kind === 'unix' ? { path: where.path } : reachable(where)
  // Compared below: the name of a node is rarely the address it listens on.
  const tls = { ...target, rejectUnauthorized: false }
  const socket = expected === undefined ? connectPlain(target) : connectTls(tls)
  try {
    const event = expected === undefined ? 'connect' : 'secureConnect'
    await once(socket, event, { signal: AbortSignal.timeout(CONNECT_LIMIT_MS) })
    if (expected !== undefined && !shows(socket, expected)) {
      const why = 'who answers there shows another certificate than http.tls.cert'
      throw new ResolveError('DENIED', `${url}: ${why}`)
    }
    return socket
  } catch (thrown) {
    socket.destroy()
    throw explained(url, thrown)
  }
}

/** What listens everywhere listens here too. */
function reachable({ host, port }: Extract<ListenAddress, { kind: 'tcp' }>) {
  const here = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return { host: here, port }
}

async function readCertificate(file: string): Promise<X509Certificate> {
  try {
    return new X509Certificate(await readFile(file))
  } catch (thrown) {
    throw unreadable(file, thrown)
  }
}

function unreadable(file: string, cause: unknown): ResolveError {
  const message = `http.tls.cert: ${file} cannot be read as a certificate`
  return new ResolveError('DENIED', message, { cause })
}

function shows(socket: Socket, { fingerprint256 }: X509Certificate): boolean {
  if (!(socket instanceof TLSSocket)) return false
  return socket.getPeerX509Certificate()?.fingerprint256 === fingerprint256
}

function explained(url: string, thrown: unknown): ResolveError {
  if (thrown instanceof ResolveError) return thrown
  const { code, name } = thrown as NodeJS.ErrnoException
  if (code === 'EACCES' || code === 'EPERM') {
    return new ResolveError('DENIED', `no right to use ${url}`, { cause: thrown })
  }
  const silent = name === 'AbortError' ? `nobody answers at ${url} in time` : undefined
  const absent = NOBODY.includes(code) ? `no service answers at ${url}` : undefined
  const message = absent ?? silent ?? `${url} cannot be asked: ${code ?? 'not a connection'}`
  return new ResolveError('UNAVAILABLE', message, { cause: thrown })
}
