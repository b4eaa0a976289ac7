import { readFile } from 'node:fs/promises'
import { ImageResolverClient } from '../client.ts'
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

/** On loopback nobody needs one to read; one that cannot be read is for the service to miss. */
async function readToken({ token, tokenFile }: HttpConfig): Promise<string | undefined> {
  if (tokenFile === undefined) return token
  const text = await readFile(tokenFile, 'utf8').catch(() => '')
  return text.trim() || undefined
}
