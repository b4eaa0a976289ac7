import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { buildImage, type TestImage } from '../../test/support/images.ts'

// A registry whose tags move, in a process of its own, asked over IPC. `fleet/app-N:live` is there for any N.

export const FLEET_REGISTRY = fileURLToPath(import.meta.url)

export type RegistryOrder = { readonly move: number } | { readonly report: true }

export interface RegistryReport {
  readonly requests: number
  /** Of each image whose tag moved: digests, and since when, in milliseconds since the epoch. */
  readonly history: Readonly<Record<number, readonly (readonly [digest: string, since: number])[]>>
}

/** As a registry that is not far away. */
const ANSWER_MS = 10
const MANIFEST = /^\/v2\/fleet\/app-(\d+)\/manifests\/(.+)$/

/** Milliseconds since the epoch, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}

if (process.argv[1] === FLEET_REGISTRY) await main()

async function main(): Promise<void> {
  const images = new Map<number, { image: TestImage; since: number }[]>()
  let requests = 0
  const versions = (app: number) => {
    const known = images.get(app) ?? [{ image: imageOf(app, 0), since: 0 }]
    images.set(app, known)
    return known
  }
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const [, app, reference = ''] = MANIFEST.exec(request.url ?? '') ?? []
    if (app === undefined) {
      response.writeHead(request.url === '/v2/' ? 200 : 404).end('{}')
      return
    }
    requests += 1
    const all = versions(Number(app))
    // What the tag is now, not when the answer leaves.
    const found = reference.includes(':')
      ? all.find(({ image }) => image.digest === reference)
      : all.at(-1)
    setTimeout(() => send(request, response, found?.image), ANSWER_MS)
  }
  const server = createServer({ keepAliveTimeout: 60_000 }, answer)
  server.listen(0, '127.0.0.1', 4_096)
  await once(server, 'listening')
  process.on('message', (order: RegistryOrder) => {
    if ('move' in order) {
      const all = versions(order.move)
      all.push({ image: imageOf(order.move, all.length), since: now() })
      return
    }
    const history = [...images].map(([app, all]) => [
      app,
      all.map(({ image, since }) => [image.digest, since]),
    ])
    process.send?.({ requests, history: Object.fromEntries(history) } satisfies RegistryReport)
  })
  process.send?.({ host: `127.0.0.1:${(server.address() as AddressInfo).port}` })
}

function imageOf(app: number, version: number): TestImage {
  return buildImage({ seed: `${app} ${version}` })
}

function send(request: IncomingMessage, response: ServerResponse, image?: TestImage): void {
  if (image === undefined) {
    response.writeHead(404).end('{}')
    return
  }
  response.writeHead(200, {
    'content-type': image.mediaType,
    'content-length': image.bytes.length,
    'docker-content-digest': image.digest,
  })
  response.end(request.method === 'HEAD' ? undefined : image.bytes)
}
