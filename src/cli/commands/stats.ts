import type { StatsResponse } from '../../../api/v1/stats.ts'
import type { Run } from '../command.ts'
import type { CliContext } from '../context.ts'
import { filesOf } from '../options.ts'
import {
  type Colors,
  formatMs,
  formatShare,
  formatSpan,
  formatTime,
  print,
  table,
  withProgress,
} from '../output.ts'

type FleetNode = Awaited<ReturnType<CliContext['fleet']>>[number]

const FLEET_COLUMNS = [
  { title: 'NODE' },
  { title: 'VERSION' },
  { title: 'CONFIGURATION' },
  { title: 'SEEN', right: true },
] as const
/** Of a fingerprint: enough to tell the configurations of a fleet apart. */
const SHOWN_DIGITS = 12

function describeFleet(nodes: readonly FleetNode[], colors: Colors): string {
  const versions = new Set(nodes.map(({ version }) => version)).size
  const configurations = new Set(nodes.map(({ configuration }) => configuration)).size
  const rows = nodes.map(({ ageMs, configuration, node, version }) => ({
    cells: [
      node,
      version,
      configuration.slice(0, SHOWN_DIGITS),
      `${formatSpan(ageMs / 1_000)} ago`,
    ],
  }))
  const counted = [
    ['nodes', `${nodes.length} seen in the last hour`],
    ['versions', String(versions)],
    ['configurations', String(configurations)],
  ]
  const text = counted.map(([name = '', value]) => `${name.padEnd(15)}${value}\n`).join('')
  return rows.length === 0 ? text : `${text}\n${table(FLEET_COLUMNS, rows, colors)}`
}

const LATENCY_COLUMNS = [
  { title: 'SOURCE' },
  { title: 'COUNT', right: true },
  { title: 'P50', right: true },
  { title: 'P99', right: true },
] as const

/** `stats`: what the running service has counted since its start; with `--fleet` the nodes that share a store. */
export const statsCommand: Run = async (_words, values, context) => {
  const files = filesOf(values)
  if (values.fleet) {
    const nodes = await withProgress('the store', context.fleet(files), context)
    print(context, values.json, nodes, (colors) => describeFleet(nodes, colors))
  } else {
    const stats = await withProgress('the service', context.stats(files), context)
    print(context, values.json, stats, (colors) => describe(stats, colors))
  }
  return 0
}

function describe(stats: StatsResponse, colors: Colors): string {
  const { cache, configuration, latencies, pulls, shared, uptimeSeconds } = stats
  const loaded = `generation ${configuration.generation}, loaded ${formatTime(configuration.loadedAt)}`
  const reload = colors('the last change was refused: see `config check`', 'red')
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
    ...(shared === undefined
      ? []
      : ([
          [
            'fleet',
            shared.leftAlone
              ? colors('the shared store is left alone: see the log', 'red')
              : `${shared.lookups.answer} answers of other nodes, ${shared.claims.won} asked for all, ${shared.claims.given_up} waited in vain`,
          ],
        ] as const)),
    [
      'pulls',
      `${pulls.pulled} done, ${pulls.failed} failed, ${pulls.passedOn} passed on, ${pulls.inFlight} in flight`,
    ],
  ]
  const rows = latencies.map(({ source, count, p50Ms, p99Ms }) => ({
    cells: [source, String(count), formatMs(p50Ms), formatMs(p99Ms)],
  }))
  const text = lines.map(([name, value]) => `${name.padEnd(15)}${value}\n`).join('')
  return `${text}\n${table(LATENCY_COLUMNS, rows, colors)}`
}
