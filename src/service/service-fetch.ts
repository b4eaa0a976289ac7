import { request as httpRequest, type IncomingMessage } from 'node:http'
import { withTimeout } from '../concurrency/abortable.ts'
import type { HttpConfig } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import { connectToService, serviceUrl } from './service-socket.ts'

/** Longer than the service takes for any question, so that its own words arrive. */
const LIMIT_MS = 35_000
const MAX_BODY_BYTES = 16 * 1024 * 1024

/**
 * `fetch` that asks the service of a configuration, wherever that listens, whatever host it is given:
 * on a unix socket, and with TLS nobody but the owner of `http.tls.cert`. At most 16 MiB in 35 s.
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
