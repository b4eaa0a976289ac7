import { setTimeout as delay } from 'node:timers/promises'
import { type Daemon, startDaemon } from '../../test/support/daemon.ts'
import { type Cleanup, temporaryFolder } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { imageStatus } from '../cri/calls.ts'
import { loadCri, startScriptedRuntime } from '../cri-load.ts'
import { loadResolves } from '../http-load.ts'
import { cpuSeconds, residentMiB } from '../machine.ts'
import { startRegistries } from '../registries.ts'
import type { Findings, Measurement, Settings, Table } from '../report.ts'
import { configuration } from '../resolving.ts'
import { median, spread } from '../statistics.ts'
import { inTurns } from '../turns.ts'

const STARTS = 5
/** What the service loads only after it serves takes memory too. */
const SETTLE_MS = 1_000
const CALLS = 100_000
/** Of the second pass, as a part of the first. */
const AGAIN_PART = 0.25
const IMAGES = 2_000
const CALLERS = 16

const SETUPS = [
  { doors: 'HTTP', withRuntime: false },
  { doors: 'HTTP and CRI', withRuntime: true },
] as const

/** Node itself takes 41 MiB in both, and more of its code is touched in later versions. */
const MEMORY_BUDGETS = {
  upTo20: { idleMiB: 55, wornMiB: 85 },
  later: { idleMiB: 65, wornMiB: 95 },
} as const

/** What the service takes of the machine: time to start, memory, processor. */
export function measureFootprint(settings: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    const registries = await startRegistries(cleanup)
    const socket = `${temporaryFolder(cleanup)}/runtime.sock`
    await startScriptedRuntime(cleanup, socket)
    const config = configuration([registries.way(0).healthy])
    const starts = await inTurns(SETUPS, settings.rounds(STARTS), ({ withRuntime }) =>
      cleanly((each) => startOnce(each, withRuntime ? { config, cri: socket } : { config })),
    )
    const startRows = [...starts].map(
      ([{ doors }, all]) =>
        [
          doors,
          spread(all.map(({ seconds }) => seconds)),
          spread(all.map(({ mebibytes }) => mebibytes)),
        ] as const,
    )
    const worn = await wear(cleanup, { config, socket, calls: settings.quick ? 5_000 : CALLS })
    const isLater = Number.parseInt(process.versions.node, 10) > 20
    const budget = MEMORY_BUDGETS[isLater ? 'later' : 'upTo20']
    return {
      tables: [
        {
          title: 'Start',
          columns: ['doors', 'start to serving, s', 'resident 1 s later, MiB'],
          rows: startRows,
        },
        worn.table,
      ],
      budgets: [
        ...startRows.flatMap(([doors, seconds, mebibytes]): Measurement[] => [
          atMost(`start to serving ${doors}`, 's', 0.25, seconds.median),
          atMost(`memory idle, serving ${doors}`, 'MiB', budget.idleMiB, mebibytes.median),
        ]),
        atMost(
          `memory after ${CALLS} resolves and ${CALLS} relayed calls`,
          'MiB',
          budget.wornMiB,
          worn.mostMiB,
        ),
      ],
      slower: [
        `A call that the runtime used to answer by itself now takes ${worn.relayedMs.toFixed(2)} ms of processor time on the way, ${CALLERS} at a time.`,
      ],
    }
  })
}

function atMost(what: string, unit: string, budget: number, measured: number): Measurement {
  return { what, unit, budget, bound: 'at most', measured }
}

interface Start {
  readonly seconds: number
  readonly mebibytes: number
}

async function startOnce(
  cleanup: Cleanup,
  options: { readonly config: object; readonly cri?: string },
): Promise<Start> {
  const began = performance.now()
  const daemon = await startDaemon(cleanup, options)
  const seconds = (performance.now() - began) / 1000
  await delay(SETTLE_MS)
  return { seconds, mebibytes: residentMiB(daemon.program().pid) }
}

interface WearOptions {
  readonly config: object
  readonly socket: string
  /** Of each kind. */
  readonly calls: number
}

interface Wear {
  readonly table: Table
  readonly mostMiB: number
  /** Processor time of one relayed call. */
  readonly relayedMs: number
}

/** One service that works for its living; twice the same, so that what only grows once is told apart. */
async function wear(cleanup: Cleanup, options: WearOptions): Promise<Wear> {
  const { calls, config, socket } = options
  const daemon = await startDaemon(cleanup, { config, cri: socket })
  const steps: { name: string; mebibytes: number; cpuPerThousand: number }[] = []
  for (const [pass, count] of [calls, calls * AGAIN_PART].entries()) {
    for (const [name, work] of [
      ['resolves', resolves],
      ['relayed calls', relayed],
    ] as const) {
      const { pid } = daemon.program()
      const cpuBefore = cpuSeconds(pid)
      await work(daemon, count)
      const cpuPerThousand = ((cpuSeconds(pid) - cpuBefore) / count) * 1_000_000
      await delay(SETTLE_MS)
      const named = `${count} ${pass === 0 ? '' : 'more '}${name}`
      steps.push({ name: named, mebibytes: residentMiB(pid), cpuPerThousand })
    }
  }
  const relayedSteps = steps.filter(({ name }) => name.includes('relayed'))
  return {
    table: {
      title: 'Under load, one service, one load after the other',
      columns: ['after', 'resident, MiB', 'CPU per 1,000, ms'],
      rows: steps.map(({ cpuPerThousand, mebibytes, name }) => [name, mebibytes, cpuPerThousand]),
      note: `Resolves: GET /resolve of ${IMAGES} images in turn. Relayed: ImageStatus of a scripted runtime, ${CALLERS} callers on one connection. What the second pass adds is what grows; \`npm run bench -- soak\` watches longer.`,
    },
    mostMiB: Math.max(...steps.map(({ mebibytes }) => mebibytes)),
    relayedMs: median(relayedSteps.map(({ cpuPerThousand }) => cpuPerThousand)) / 1_000,
  }
}

export function resolves(daemon: Daemon, calls: number): Promise<void> {
  const url = `${daemon.httpUrl()}/resolve?ref=team/app-`
  return loadResolves({ url, images: IMAGES, connections: CALLERS, calls })
}

export async function relayed({ socketPath }: Daemon, calls: number): Promise<void> {
  const ways = [{ name: 'relayed', socket: socketPath }]
  const call = imageStatus('registry.example.com/team/app:1', CALLERS)
  await loadCri({ ways, calls: [call], ms: 0, count: calls })
}
