import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import type { ReadyResponse } from '../../api/v1/health.ts'
import { ImageResolverClient, ImageResolverError } from '../client.ts'
import { withTimeout } from '../concurrency/abortable.ts'
import type { HttpConfig } from '../config/config.ts'
import { readConfigFile } from '../config/files.ts'
import { listenUrl, parseListen, reachable } from '../config/values.ts'
import { ResolveError } from '../errors.ts'

/** serviceFetch goes to the service of a configuration, whatever host is asked. */
const BASE = 'http://localhost'

/**
 * A client of the service that runs with this configuration, once it is known that it is there.
 *
 * @throws ResolveError as serviceFetch, and UNAVAILABLE when another program answers
 */
export async function findService(http: HttpConfig): Promise<ImageResolverClient> {
  const ask = serviceFetch(http)
  const response = await ask(`${BASE}/livez`)
  const body = await response.json().catch(() => undefined)
  if ((body as { readonly status?: unknown } | undefined)?.status !== 'live') {
    const message = `what answers at ${serviceUrl(http)} is not image-resolver`
    throw new ResolveError('UNAVAILABLE', message)
  }
  const token = await readToken(http)
  return new ImageResolverClient({ url: BASE, fetch: ask, ...(token !== undefined && { token }) })
}

/** What the service of a configuration says of its servers; rejects as serviceFetch. No token is sent. */
export function readReadyz(http: HttpConfig): Promise<ReadyResponse> {
  return new ImageResolverClient({ url: BASE, fetch: serviceFetch(http) }).readyz()
}

/**
 * Why a server of the service that runs with this configuration is not open.
 *
 * @param name as `/readyz` has it
 * @returns undefined when it is open, or where nothing is known of it
 */
export async function whyNotServed(http: HttpConfig, name: string): Promise<string | undefined> {
  try {
    const { doors } = await readReadyz(http)
    return doors.find(({ door, open }) => door === name && !open)?.reason
  } catch {
    return undefined
  }
}

/**
 * What the service says instead of an answer, as this process says it.
 *
 * @returns what `call` does; rejects with ResolveError
 */
export function fromService<T>(call: Promise<T>): Promise<T> {
  return call.catch((thrown: unknown) => {
    if (!(thrown instanceof ImageResolverError)) throw thrown
    const { attempts, code, message } = thrown
    const own = isHttpCode(code) ? HTTP_CODES[code] : code
    throw new ResolveError(own, message, { attempts, cause: thrown })
  })
}

/** Codes of HTTP alone, and what they mean for a command. */
const HTTP_CODES = {
  ROUTE_UNKNOWN: 'NAME_INVALID',
  REQUEST_INVALID: 'UNKNOWN',
  METHOD_UNSUPPORTED: 'UNKNOWN',
} as const

function isHttpCode(code: ImageResolverError['code']): code is keyof typeof HTTP_CODES {
  return code in HTTP_CODES
}

/** On loopback reading needs none. Where the file cannot be read, the service refuses what needs it. */
async function readToken({ token, tokenFile }: HttpConfig): Promise<string | undefined> {
  if (tokenFile === undefined) return token
  const text = await readConfigFile(tokenFile).catch(() => '')
  return text.trim() || undefined
}

/** The service is on this machine or close by: a connection is made at once or not at all. */
const CONNECT_LIMIT_MS = 2_000
const NOT_LISTENING: readonly (string | undefined)[] = ['ECONNREFUSED', 'ENOENT', 'EADDRNOTAVAIL']

/** Where the service of a configuration answers: `http://127.0.0.1:9430`, or `unix:///path`. */
export function serviceUrl({ listen, tls }: Pick<HttpConfig, 'listen' | 'tls'>): string {
  const where = parseListen(listen)
  return where.kind === 'unix' ? `unix://${where.path}` : listenUrl(reachable(where), tls)
}

/**
 * A connection to that service. With TLS the server has to show the very certificate that the
 * configuration names, whatever name is in it: no other server may see the token.
 *
 * @throws ResolveError UNAVAILABLE when the address is not listened at, DENIED without the right to it or
 * when another server shows another certificate
 */
async function connectToService(http: Pick<HttpConfig, 'listen' | 'tls'>): Promise<Socket> {
  const where = parseListen(http.listen)
  const url = serviceUrl(http)
  if (where.kind === 'tcp' && where.port === 0) {
    const why = 'it takes any free port, so that it cannot be known which'
    throw new ResolveError('UNAVAILABLE', `http.listen ${http.listen}: ${why}`)
  }
  const expected = http.tls === undefined ? undefined : await readCertificate(http.tls.cert)
  const target = where.kind === 'unix' ? { path: where.path } : reachable(where)
  // Compared below: the name of a node is rarely the address it listens on.
  const tls = { ...target, rejectUnauthorized: false }
  const socket = expected === undefined ? connectPlain(target) : connectTls(tls)
  try {
    const event = expected === undefined ? 'connect' : 'secureConnect'
    await once(socket, event, { signal: AbortSignal.timeout(CONNECT_LIMIT_MS) })
    if (expected !== undefined && !shows(socket, expected)) {
      const why = 'the server there shows another certificate than http.tls.cert'
      throw new ResolveError('DENIED', `${url}: ${why}`)
    }
    return socket
  } catch (thrown) {
    socket.destroy()
    throw explained(url, thrown)
  }
}

async function readCertificate(file: string): Promise<X509Certificate> {
  try {
    return new X509Certificate(await readConfigFile(file))
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
  const silent = name === 'AbortError' ? `no answer from ${url} in time` : undefined
  const absent = NOT_LISTENING.includes(code) ? `no service answers at ${url}` : undefined
  const message = absent ?? silent ?? `${url} cannot be asked: ${code ?? 'not a connection'}`
  return new ResolveError('UNAVAILABLE', message, { cause: thrown })
}

/** Longer than the service takes for any question, so that its own words arrive. */
const LIMIT_MS = 35_000
const MAX_BODY_BYTES = 16 * 1024 * 1024

/**
 * `fetch` that asks the service of a configuration, wherever that listens, whatever host it is given:
 * on a unix socket, and with TLS only the owner of `http.tls.cert`. At most 16 MiB in 35 s.
 *
 * @returns rejects with ResolveError as connectToService, and UNAVAILABLE when the answer breaks off
 */
export function serviceFetch(place: Pick<HttpConfig, 'listen' | 'tls'>): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    const body = Buffer.from(await request.arrayBuffer())
    const { pathname, search } = new URL(request.url)
    const socket = await connectToService(place)
    try {
      return await withTimeout(request.signal, LIMIT_MS, async (signal) => {
        const response = await new Promise<IncomingMessage>((resolve, reject) => {
          const sent = httpRequest({
            createConnection: () => socket,
            method: request.method,
            path: `${pathname}${search}`,
            headers: {
              ...Object.fromEntries(request.headers),
              host: 'localhost',
              connection: 'close',
            },
            signal,
          })
          sent.once('response', resolve).once('error', reject).end(body)
        })
        const bytes = await readBytes(response)
        const type = response.headers['content-type']
        return new Response(bytes.length === 0 ? null : bytes, {
          status: response.statusCode ?? 0,
          headers: type === undefined ? {} : { 'content-type': type },
        })
      })
    } catch (thrown) {
      throw brokenOff(serviceUrl(place), thrown)
    } finally {
      socket.destroy()
    }
  }
}

async function readBytes(response: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new Error('too much')
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function brokenOff(url: string, cause: unknown): ResolveError {
  const message = `${url} broke off, or did not answer in time`
  return new ResolveError('UNAVAILABLE', message, { cause })
}
