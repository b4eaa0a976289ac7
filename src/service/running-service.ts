import { readFile } from 'node:fs/promises'
import type { ReadyResponse } from '../../api/v1/health.ts'
import { ImageResolverClient, ImageResolverError } from '../client.ts'
import type { HttpConfig } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import { serviceFetch } from './service-fetch.ts'
import { serviceUrl } from './service-socket.ts'

/**
 * A client of the service that runs with this configuration, once it is known that it is there.
 *
 * @throws ResolveError as serviceFetch, and UNAVAILABLE when somebody else answers
 */
export async function findService(http: HttpConfig): Promise<ImageResolverClient> {
  const ask = serviceFetch(http)
  const base = 'http://localhost'
  const response = await ask(`${base}/livez`)
  const body = await response.json().catch(() => undefined)
  if ((body as { readonly status?: unknown } | undefined)?.status !== 'live') {
    const message = `what answers at ${serviceUrl(http)} is not image-resolver`
    throw new ResolveError('UNAVAILABLE', message)
  }
  const token = await readToken(http)
  return new ImageResolverClient({ url: base, fetch: ask, ...(token !== undefined && { token }) })
}

/**
 * Why a server of the service that runs with this configuration is not open.
 *
 * @param name as `/readyz` has it
 * @returns undefined when it is open, or where nothing is known of it
 */
export async function whyNotServed(http: HttpConfig, name: string): Promise<string | undefined> {
  try {
    const response = await serviceFetch(http)('http://localhost/readyz')
    const { doors } = (await response.json()) as ReadyResponse
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

/** On loopback nobody needs one to read; one that cannot be read is for the service to miss. */
async function readToken({ token, tokenFile }: HttpConfig): Promise<string | undefined> {
  if (tokenFile === undefined) return token
  const text = await readFile(tokenFile, 'utf8').catch(() => '')
  return text.trim() || undefined
}
