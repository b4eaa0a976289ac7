import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { startDaemon } from '../../test/support/daemon.ts'
import { startDockerRegistry } from '../../test/support/docker-registry.ts'
import { buildImage, content, pushImage } from '../../test/support/images.ts'
import { startProgram } from '../../test/support/program.ts'
import { findProgram } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { cpuSeconds, residentMiB } from '../machine.ts'
import { HASHING_PROXY } from '../processes/hashing-proxy.ts'
import type { Findings, Measurement, Settings } from '../report.ts'
import { median, spread } from '../statistics.ts'
import { inTurns } from '../turns.ts'
import { TYPESCRIPT } from '../typescript.ts'

const ROUNDS = 3
const MEBIBYTES = 500
const CLIENTS = [1, 8]

const run = promisify(execFile)

interface Side {
  readonly way: 'direct' | 'through node:http, hashed' | 'through /v2'
  readonly clients: number
}

interface Server {
  readonly url: string
  /** undefined: nothing is between. */
  readonly pid?: number
}

interface Round {
  readonly seconds: number
  /** Processor time of the service, for each blob. */
  readonly cpuSeconds: number
  readonly residentMiB: number
}

/** What it costs to have a large blob come through `/v2`, from a registry on the same machine. */
export async function measureMirror(settings: Settings): Promise<Findings> {
  const lacking = ['docker-registry', 'curl'].filter((each) => findProgram(each) === undefined)
  if (lacking.length > 0) return { tables: [], missing: lacking.map((each) => `no ${each} here`) }
  return cleanly(async (cleanup) => {
    const mebibytes = settings.quick ? 50 : MEBIBYTES
    const blob = content('application/octet-stream', randomBytes(mebibytes * 1024 * 1024))
    const registry = await startDockerRegistry(cleanup)
    const image = buildImage()
    const blobs = [...image.blobs, blob]
    await pushImage(registry.url, 'library/app', '1', { ...image, blobs })
    const daemon = await startDaemon(cleanup, {
      config: {
        http: { listen: '127.0.0.1:0', rateLimit: 0 },
        mirror: { enabled: true },
        mirrorsOnly: ['docker.io'],
        registries: [{ address: registry.url }],
      },
    })
    const proxy = startProgram(process.execPath, [...TYPESCRIPT, HASHING_PROXY, registry.url])
    cleanup.after(() => proxy.stop())
    const [, proxyUrl = ''] = await proxy.line(/"address":"([^"]+)"/)
    const servers: Readonly<Record<Side['way'], Server>> = {
      direct: { url: registry.url },
      'through node:http, hashed': { url: proxyUrl, pid: proxy.pid },
      'through /v2': { url: daemon.httpUrl(), pid: daemon.program().pid },
    }
    const sides = CLIENTS.flatMap((clients): Side[] => [
      { way: 'direct', clients },
      { way: 'through node:http, hashed', clients },
      { way: 'through /v2', clients },
    ])
    const rounds = await inTurns(sides, settings.rounds(ROUNDS), async ({ way, clients }) => {
      const { pid, url: base } = servers[way]
      const url = `${base}/v2/library/app/blobs/${blob.digest}`
      const spent = (): number => (pid === undefined ? 0 : cpuSeconds(pid))
      const [began, cpu] = [performance.now(), spent()]
      await Promise.all(
        Array.from({ length: clients }, () => run('curl', ['-sSf', '-o', '/dev/null', url])),
      )
      const seconds = (performance.now() - began) / 1_000
      const each = (spent() - cpu) / clients
      const resident = pid === undefined ? 0 : residentMiB(pid)
      return { seconds, cpuSeconds: each, residentMiB: resident } satisfies Round
    })
    const of = (way: Side['way'], clients: number, what: 'seconds' | 'cpuSeconds'): number => {
      const found = [...rounds].find(([side]) => side.way === way && side.clients === clients)
      return median((found?.[1] ?? []).map((round) => round[what]))
    }
    const ratio = (clients: number): number =>
      of('through /v2', clients, 'seconds') / of('direct', clients, 'seconds')
    return {
      tables: [
        {
          title: `A blob of ${mebibytes} MiB, by curl`,
          columns: [
            'way',
            'clients',
            'time, s',
            'CPU of what is between, each, s',
            'resident, MiB',
          ],
          rows: [...rounds].map(([{ way, clients }, all]) => [
            way,
            clients,
            spread(all.map((round) => round.seconds)),
            ...(way === 'direct'
              ? ['', '']
              : [
                  spread(all.map((round) => round.cpuSeconds)),
                  spread(all.map((round) => round.residentMiB)),
                ]),
          ]),
          note: 'The registry, the service and the clients share the processors of this machine.',
        },
      ],
      budgets: [
        ...CLIENTS.map(
          (clients): Measurement => ({
            what: `a blob through /v2, ${clients === 1 ? 'one client' : `${clients} clients`}`,
            unit: '× direct',
            budget: 4.5,
            bound: 'at most',
            measured: ratio(clients),
          }),
        ),
        {
          what: 'a blob through /v2, one client, of the CPU of a proxy on node:http that hashes',
          unit: 'ratio',
          budget: 1.3,
          bound: 'at most',
          measured:
            of('through /v2', 1, 'cpuSeconds') / of('through node:http, hashed', 1, 'cpuSeconds'),
        },
      ],
      slower: [
        `A blob that comes through /v2 takes ${ratio(1).toFixed(1)} times as long as from a registry on the same machine: it is copied twice more, and hashed.`,
      ],
    }
  })
}
