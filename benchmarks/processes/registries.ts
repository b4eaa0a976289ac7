import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Exchange, FakeRegistry, hang, serve } from '../../test/support/fake-registry.ts'
import { buildImage, buildIndex, type TestImage } from '../../test/support/images.ts'
import { startTokenServer } from '../../test/support/token-server.ts'

// Registries and the way to them, in a process of its own: `registries.ts MS...`, one way for each
// round-trip time. Prints one line of JSON, a RegistryAddresses.

export const REGISTRIES = fileURLToPath(import.meta.url)

export interface RegistryAddresses {
  /** By round-trip time in ms, `host:port`. */
  readonly ways: Readonly<Record<string, RegistryWay>>
  /** GET it: how many requests all registries and the token service have had so far, a number. */
  readonly countUrl: string
}

/**
 * Any tag of any repository is there: below `multi/` an index of two platforms, else a single manifest,
 * a different one for each repository and tag.
 */
export interface RegistryWay {
  readonly healthy: string
  readonly second: string
  readonly third: string
  /** Wants a token for each repository. */
  readonly token: string
  /** Has nothing. */
  readonly empty: string
  /** Takes connections and says nothing. */
  readonly blackHole: string
}

if (process.argv[1] === REGISTRIES) await main(process.argv.slice(2).map(Number))

async function main(roundTripsMs: readonly number[]): Promise<void> {
  const t = { after: () => {} }
  const tokens = await startTokenServer(t, { expiresIn: 3_600 })
  const { accepts, challenge } = tokens
  const healthy = await registry(serveAny)
  const second = await registry(serveAny)
  const third = await registry(serveAny)
  const token = await FakeRegistry.start(t, { auth: { kind: 'bearer', challenge, accepts } })
  token.behaviour = serveAny(token)
  const empty = await FakeRegistry.start(t)
  const blackHole = await registry(() => hang)
  const all = { healthy, second, third, token, empty, blackHole }

  const count = createServer((_request, response) => {
    const requests = Object.values(all).reduce((sum, each) => sum + each.requests.length, 0)
    response.end(String(requests + tokens.questions.length))
  })
  const countUrl = `http://127.0.0.1:${await portOf(count)}/`
  const ways: Record<string, RegistryWay> = {}
  for (const ms of roundTripsMs) {
    const entries = Object.entries(all).map(async ([name, { host }]) => [name, await way(host, ms)])
    ways[ms] = Object.fromEntries(await Promise.all(entries)) as RegistryWay
  }
  process.stdout.write(`${JSON.stringify({ ways, countUrl } satisfies RegistryAddresses)}\n`)

  async function registry(behaviour: (registry: FakeRegistry) => FakeRegistry['behaviour']) {
    const started = await FakeRegistry.start(t)
    started.behaviour = behaviour(started)
    return started
  }
}

/** Makes what is asked for at the first request. */
function serveAny(registry: FakeRegistry): FakeRegistry['behaviour'] {
  return (exchange: Exchange) => {
    if (exchange.found !== undefined) return serve(exchange)
    // The question whether this is a registry at all.
    if (exchange.request.url === '/v2/') return void exchange.response.end('{}')
    const path = /^\/v2\/(.+)\/manifests\/([^/:]+)$/.exec(exchange.request.url ?? '')
    const [, repository = '', tag = ''] = path ?? []
    if (path === null) return serve(exchange)
    const image = imageOf(`${repository}:${tag}`)
    registry.put(repository, tag, image)
    serve({ ...exchange, found: image })
  }
}

function imageOf(seed: string): TestImage {
  const single = buildImage({ seed })
  if (!seed.includes('multi/')) return single
  return buildIndex([
    single,
    buildImage({ seed, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }),
  ])
}

/** A way to a server on which every answer takes a round trip longer. */
async function way(target: string, roundTripMs: number): Promise<string> {
  if (roundTripMs === 0) return target
  const port = Number(target.split(':')[1])
  const server = createTcpServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    near.pipe(far)
    far.on('data', (chunk: Buffer) => {
      setTimeout(() => near.writable && near.write(chunk), roundTripMs)
    })
    far.on('end', () => setTimeout(() => near.end(), roundTripMs))
    destroyTogether(near, far)
  })
  return `127.0.0.1:${await portOf(server)}`
}

function destroyTogether(one: Socket, other: Socket): void {
  one.on('error', () => other.destroy()).on('close', () => other.destroy())
  other.on('error', () => one.destroy())
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
