import { createServer, request as forward, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { listen } from './listen.ts'
import type { Cleanup } from './stack.ts'

export interface ForwardProxy {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly url: string
  /** `CONNECT host:port`, or `GET http://host/path`, as they came. */
  readonly log: readonly string[]
  /** The Proxy-Authorization of each. */
  readonly authorizations: readonly (string | undefined)[]
}

export interface ForwardProxyOptions {
  /** Answered to every CONNECT instead of a tunnel. */
  readonly refuseWith?: number
}

/** A proxy as companies have them. Whatever host it is asked for, it goes to `target`, `127.0.0.1:port`. */
export async function startForwardProxy(
  t: Cleanup,
  target: string,
  { refuseWith }: ForwardProxyOptions = {},
): Promise<ForwardProxy> {
  const log: string[] = []
  const authorizations: (string | undefined)[] = []
  const port = Number(target.split(':')[1])
  const record = ({ method, url, headers }: IncomingMessage) => {
    log.push(`${method} ${url}`)
    authorizations.push(headers['proxy-authorization'])
  }
  const server = createServer((incoming, outgoing) => {
    record(incoming)
    const { method, headers, url = '' } = incoming
    const { pathname, search } = new URL(url)
    const path = `${pathname}${search}`
    const upstream = forward({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    upstream.on('error', () => outgoing.destroy())
    incoming.pipe(upstream)
  })
  server.on('connect', (incoming: IncomingMessage, client: Duplex) => {
    record(incoming)
    if (refuseWith !== undefined) {
      client.end(`HTTP/1.1 ${refuseWith} No\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.pipe(upstream).pipe(client)
    })
    for (const each of [client, upstream]) each.on('error', () => {})
    client.once('close', () => upstream.destroy())
  })
  const { host, url } = await listen(t, server)
  return { host, url, log, authorizations }
}
