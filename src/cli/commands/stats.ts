import type { StatsResponse } from '../../../api/v1/stats.ts'
import { type Ink, inkFor } from '../ink.ts'
import { formatMs, formatShare, formatSpan, formatTime } from '../quantity.ts'
import { table } from '../table.ts'
import { waiting } from '../waiting.ts'
import type { FileOption, World } from '../world.ts'

export interface StatsOptions {
  readonly files: FileOption
  readonly json: boolean
  readonly world: Pick<World, 'stats' | 'stdout' | 'stderr' | 'environment' | 'every'>
}

const LATENCY_COLUMNS = [
  { title: 'SOURCE' },
  { title: 'COUNT', right: true },
  { title: 'P50', right: true },
  { title: 'P99', right: true },
] as const

/** `stats`: what the running service has counted since its start. */
export async function statsCommand({ files, json, world }: StatsOptions): Promise<0> {
  const { environment, stdout } = world
  const stats = await waiting('the service', world.stats(files), world)
  stdout.write(
    json ? `${JSON.stringify(stats, null, 2)}\n` : describe(stats, inkFor(stdout, environment)),
  )
  return 0
}

function describe(stats: StatsResponse, ink: Ink): string {
  const { cache, configuration, latencies, pulls, uptimeSeconds } = stats
  const loaded = `generation ${configuration.generation}, loaded ${formatTime(configuration.loadedAt)}`
  const reload = ink('the last change was refused: see `config check`', 'red')
  const lines: readonly (readonly [string, string])[] = [
    ['running for', formatSpan(uptimeSeconds)],
    ['configuration', configuration.lastReloadFailed ? `${loaded}; ${reload}` : loaded],
    ['hit rate', `${formatShare(cache.hitRate)} answered without a registry`],
    [
      'cache',
      `${cache.entries} entries; ${cache.hits} hits, ${cache.misses} misses, ${cache.coalesced} shared`,
    ],
    [
      '',
      `${cache.revalidated} revalidated, ${cache.stale} stale, ${cache.negative} negative, ${cache.evicted} evicted`,
    ],
    [
      'pulls',
      `${pulls.pulled} done, ${pulls.failed} failed, ${pulls.passedOn} passed on, ${pulls.inFlight} in flight`,
    ],
  ]
  const rows = latencies.map(({ source, count, p50Ms, p99Ms }) => ({
    cells: [source, String(count), formatMs(p50Ms), formatMs(p99Ms)],
  }))
  const text = lines.map(([name, value]) => `${name.padEnd(15)}${value}\n`).join('')
  return `${text}\n${table(LATENCY_COLUMNS, rows, ink)}`
}
