import { startDaemon } from '../test/support/daemon.ts'
import { FakeRegistry } from '../test/support/fake-registry.ts'
import { buildImage, buildIndex } from '../test/support/images.ts'
import { runProgram, startProgram } from '../test/support/program.ts'
import { BARE_SERVER } from './bare-server.ts'
import { LOAD, type LoadResult } from './load.ts'
import { cleanly, type Measurement, median, residentMiB } from './measure.ts'

const ROUNDS = 9
const SECONDS = 3
const CONNECTIONS = 32
const TYPESCRIPT = ['--import', 'tsx']

/**
 * GET /resolve from the cache, beside a server that only sends the same body. The two take turns,
 * and turns about, so that a machine that grows faster or slower does so for both.
 */
export function measureHttp(): Promise<readonly Measurement[]> {
  return cleanly(async (cleanup) => {
    const registry = await FakeRegistry.start(cleanup)
    registry.put('library/nginx', 'latest', buildIndex([buildImage()]))
    const daemon = await startDaemon(cleanup, {
      config: {
        cache: { tagTTL: '1h', imageCacheTTL: '2h' },
        registries: [{ address: `http://${registry.host}` }],
      },
    })
    const ours = `${daemon.httpUrl()}/resolve?ref=nginx:latest&platform=linux/amd64`
    const body = await cachedBody(ours)

    const server = startProgram(process.execPath, [...TYPESCRIPT, BARE_SERVER], { BODY: body })
    cleanup.after(() => server.stop())
    const [, address = ''] = await server.line(/"address":"([^"]+)"/, 20_000)
    const bare = `${address}/resolve?ref=nginx:latest&platform=linux/amd64`

    for (const url of [bare, ours]) await requestsPerSecond(url)
    const ratios: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const rates = new Map<string, number>()
      const order = round % 2 === 0 ? [bare, ours] : [ours, bare]
      for (const url of order) rates.set(url, await requestsPerSecond(url))
      ratios.push((rates.get(ours) ?? Number.NaN) / (rates.get(bare) ?? Number.NaN))
    }
    return [
      {
        what: 'GET /resolve, cached, of bare node:http',
        unit: 'ratio',
        budget: 0.85,
        bound: 'at least',
        measured: median(ratios),
      },
      {
        what: 'memory after that load',
        unit: 'MiB',
        budget: 120,
        bound: 'at most',
        measured: residentMiB(daemon.program().pid),
      },
    ]
  })
}

async function cachedBody(url: string): Promise<string> {
  const first = await fetch(url)
  const body = await (await fetch(url)).text()
  if (!first.ok || !body.includes('"source":"cache"')) throw new Error(`not cached: ${body}`)
  return body
}

async function requestsPerSecond(url: string): Promise<number> {
  const limits = [String(CONNECTIONS), String(SECONDS)]
  const output = await runProgram(process.execPath, [...TYPESCRIPT, LOAD, url, ...limits])
  return (JSON.parse(output) as LoadResult).requestsPerSecond
}
