import { cleanly } from '../cleanly.ts'
import { inProcessPaths } from '../latency/in-process-paths.ts'
import { failoverPaths, networkPaths } from '../latency/network-paths.ts'
import type { LatencyPath } from '../latency/path.ts'
import { digits } from '../markdown.ts'
import { startRegistries } from '../registries.ts'
import type { Findings, Measurement, Plot, Settings } from '../report.ts'
import { median, type Sample, sampleCells, typicalMs } from '../statistics.ts'
import { inTurns } from '../turns.ts'

const ROUNDS = 3
const ROUND_TRIPS_MS = [0, 5, 40]
/** Of the figures with a registry that is dead, which take seconds. */
const FAILOVER_ROUND_TRIP_MS = 5
const MICROSECONDS = 1_000

type Rounds = ReadonlyMap<LatencyPath, readonly Sample[]>

/** How long a resolution takes and how many requests it sends, by the path that it takes. */
export function measureLatency(settings: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    const { quick } = settings
    const roundTripsMs = quick ? [0, FAILOVER_ROUND_TRIP_MS] : ROUND_TRIPS_MS
    const registries = await startRegistries(cleanup, roundTripsMs)
    const share = quick ? 0.2 : 1
    const run = (paths: readonly LatencyPath[]): Promise<Rounds> =>
      inTurns(paths, settings.rounds(ROUNDS), (path, round) =>
        cleanly((each) => path.run(each, round)),
      )
    const local = await run(inProcessPaths(registries, share))
    const remote = await run(roundTripsMs.flatMap((ms) => networkPaths(registries, ms, share)))
    const failover = await run(failoverPaths(registries, FAILOVER_ROUND_TRIP_MS, share))
    return {
      tables: [
        {
          title: 'In this process alone',
          columns: ['path', 'p50, µs', 'p99, µs', 'requests'],
          rows: rowsOf(local, MICROSECONDS),
          note: 'One call after the other, each clocked by itself, parsing included.',
        },
        {
          title: 'Over the network',
          columns: ['path', 'p50, ms', 'p99, ms', 'requests'],
          rows: rowsOf(remote, 1),
          note: 'Every call asks for another image. Connections are open; opening one costs a round trip of TCP, which the delaying proxy does not charge. The token service is near.',
        },
        {
          title: `Three registries, the first in trouble, round trip ${FAILOVER_ROUND_TRIP_MS} ms`,
          columns: ['the first', 'p50, ms', 'p99, ms', 'requests'],
          rows: rowsOf(failover, 1),
          note: 'The other two are healthy. Requests count what reached a registry.',
        },
      ],
      plots: [roundTripPlot(remote, roundTripsMs)],
      budgets: budgetsOf(local, remote, failover),
      slower: [
        `A first registry that answers nothing costs the first call ${msOf(failover, 'black hole, first')} ms, which is its probe budget; one that does not have the image costs every call its answer: ${msOf(failover, '404')} ms, against ${msOf(failover, 'healthy')} ms.`,
        `With every registry gone, a known answer takes ${msOf(local, 'stale')} ms instead of ${msOf(local, 'cached hit')} ms: each call looks whether one is back.`,
      ],
    }
  })
}

function rowsOf(rounds: Rounds, unitsPerMs: number) {
  return [...rounds].map(([{ name }, samples]) => [name, ...sampleCells(samples, unitsPerMs)])
}

function roundTripPlot(remote: Rounds, roundTripsMs: readonly number[]): Plot {
  const kinds = [...new Set([...remote.keys()].map(({ kind }) => kind))]
  return {
    name: 'latency-round-trip',
    title: 'Resolution by round-trip time to the registry',
    xLabel: 'round trip, ms',
    yLabel: 'p50, ms',
    series: kinds.map((name) => ({
      name,
      points: [...remote]
        .filter(([{ kind }]) => kind === name)
        .map(([, samples], index) => [roundTripsMs[index] ?? 0, typicalMs(samples)] as const),
    })),
  }
}

function msOf(rounds: Rounds, kind: string): string {
  return digits(typicalMs(samplesOf(rounds, kind)))
}

function samplesOf(rounds: Rounds, kind: string): readonly Sample[] {
  const found = [...rounds].find(([path]) => path.kind === kind)
  if (found === undefined) throw new Error(`no path is called ${kind}`)
  return found[1]
}

function budgetsOf(local: Rounds, remote: Rounds, failover: Rounds): readonly Measurement[] {
  const requests = (what: string, kind: string, budget: number): Measurement => ({
    what,
    unit: 'requests',
    budget,
    bound: 'at most',
    measured: median(samplesOf(remote, kind).map((sample) => sample.requests)),
  })
  const healthyMs = typicalMs(samplesOf(failover, 'healthy'))
  return [
    {
      what: 'resolve(), cached, in process, p50',
      unit: 'µs',
      budget: 3,
      bound: 'at most',
      measured: typicalMs(samplesOf(local, 'cached hit')) * MICROSECONDS,
    },
    requests('cold resolve, token known, single-platform', 'single-platform', 1),
    requests('cold resolve, token known, multi-platform', 'multi-platform', 2),
    requests('revalidation', 'revalidation', 1),
    requests('1,000 concurrent callers, multi-platform', '1,000 callers', 2),
    {
      what: 'top registry black-holed, first resolve: more than its probe budget of 2 s, beyond healthy',
      unit: 'ms',
      budget: 20,
      bound: 'at most',
      measured: typicalMs(samplesOf(failover, 'black hole, first')) - healthyMs - 2_000,
    },
    {
      what: 'top registry black-holed, after that: more than healthy, p50',
      unit: 'ms',
      budget: 5,
      bound: 'at most',
      measured: typicalMs(samplesOf(failover, 'black hole, after')) - healthyMs,
    },
  ]
}
