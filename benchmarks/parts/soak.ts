import { startDaemon } from '../../test/support/daemon.ts'
import { temporaryFolder } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { startScriptedRuntime } from '../cri-load.ts'
import { residentMiB } from '../machine.ts'
import { startRegistries } from '../registries.ts'
import type { Findings, Settings } from '../report.ts'
import { configuration } from '../resolving.ts'
import { relayed, resolves } from './footprint.ts'

const MINUTES = 10
/** Between two looks, so many of each. */
const CALLS = 20_000
const HOUR_SECONDS = 3_600

/** Load without a break, and what memory does meanwhile. The first half is not counted: caches fill. */
export function measureSoak({ quick }: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    const registries = await startRegistries(cleanup)
    const socket = `${temporaryFolder(cleanup)}/runtime.sock`
    await startScriptedRuntime(cleanup, socket)
    const config = configuration([registries.way(0).healthy])
    const daemon = await startDaemon(cleanup, { config, cri: socket })
    const looks: (readonly [seconds: number, mebibytes: number])[] = []
    const began = performance.now()
    const seconds = (): number => (performance.now() - began) / 1_000
    const calls = quick ? 1_000 : CALLS
    const limitSeconds = quick ? 10 : MINUTES * 60
    do {
      await resolves(daemon, calls)
      await relayed(daemon, calls)
      looks.push([seconds(), residentMiB(daemon.program().pid)])
    } while (seconds() < limitSeconds)
    const perHour = slope(looks.slice(looks.length >> 1)) * HOUR_SECONDS
    const made = looks.length * calls
    return {
      tables: [
        {
          title: 'Memory under load without a break',
          columns: [
            'minutes',
            'resolves',
            'relayed calls',
            'resident at the end, MiB',
            'growth, MiB/hour',
          ],
          rows: [[seconds() / 60, made, made, looks.at(-1)?.[1] ?? Number.NaN, perHour]],
          note: 'Growth: the slope of the second half.',
        },
      ],
      plots: [
        {
          name: 'soak-memory',
          title: 'Resident memory under load without a break',
          xLabel: 'seconds',
          yLabel: 'MiB',
          series: [{ name: 'image-resolver', points: looks }],
        },
      ],
    }
  })
}

/** Of the line that fits best (least squares); 0 where there are fewer than two points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const meanX = mean(points.map(([x]) => x))
  const meanY = mean(points.map(([, y]) => y))
  const spreadX = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  if (points.length < 2 || spreadX === 0) return 0
  return points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spreadX
}
