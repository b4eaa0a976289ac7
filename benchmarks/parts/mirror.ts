import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { startDaemon } from '../../test/support/daemon.ts'
import { startDockerRegistry } from '../../test/support/docker-registry.ts'
import { buildImage, content, pushImage } from '../../test/support/images.ts'
import { findProgram } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { cpuSeconds, residentMiB } from '../process-figures.ts'
import type { Findings, Measurement, Settings } from '../report.ts'
import { median, spread } from '../statistics.ts'
import { inTurns } from '../turns.ts'

const ROUNDS = 3
const MEBIBYTES = 500
const CLIENTS = [1, 8]

const run = promisify(execFile)

interface Side {
  readonly way: 'direct' | 'through /v2'
  readonly clients: number
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
    const { pid } = daemon.program()
    const sides = CLIENTS.flatMap((clients): Side[] => [
      { way: 'direct', clients },
      { way: 'through /v2', clients },
    ])
    const rounds = await inTurns(sides, settings.rounds(ROUNDS), async ({ way, clients }) => {
      const base = way === 'direct' ? registry.url : daemon.httpUrl()
      const url = `${base}/v2/library/app/blobs/${blob.digest}`
      const [began, cpu] = [performance.now(), cpuSeconds(pid)]
      await Promise.all(
        Array.from({ length: clients }, () => run('curl', ['-sSf', '-o', '/dev/null', url])),
      )
      const seconds = (performance.now() - began) / 1_000
      const each = (cpuSeconds(pid) - cpu) / clients
      return { seconds, cpuSeconds: each, residentMiB: residentMiB(pid) } satisfies Round
    })
    const ratio = (clients: number): number => {
      const of = (wanted: Side['way']): number => {
        const found = [...rounds].find(([side]) => side.way === wanted && side.clients === clients)
        return median((found?.[1] ?? []).map(({ seconds }) => seconds))
      }
      return of('through /v2') / of('direct')
    }
    return {
      tables: [
        {
          title: `A blob of ${mebibytes} MiB, by curl`,
          columns: ['way', 'clients', 'time, s', 'CPU of the service for each, s', 'resident, MiB'],
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
      budgets: CLIENTS.map(
        (clients): Measurement => ({
          what: `a blob through /v2, ${clients === 1 ? 'one client' : `${clients} clients`}`,
          unit: '× direct',
          budget: 4.5,
          bound: 'at most',
          measured: ratio(clients),
        }),
      ),
      slower: [
        `A blob that comes through /v2 takes ${ratio(1).toFixed(1)} times as long as from a registry on the same machine: it is copied twice more, and hashed.`,
      ],
    }
  })
}
