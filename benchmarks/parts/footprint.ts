import { setTimeout as delay } from 'node:timers/promises'
import { type Daemon, startDaemon } from '../../test/support/daemon.ts'
import { type Cleanup, temporaryFolder } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { imageStatus } from '../cri/calls.ts'
import { loadCri, startScriptedRuntime } from '../cri-load.ts'
import { loadResolves } from '../http-load.ts'
import { cpuSeconds, peakMemoryMiB, residentMiB } from '../machine.ts'
import { nodeVersions, type Runtime } from '../node-versions.ts'
import { startRegistries } from '../registries.ts'
import type { Findings, Measurement, Settings, Table } from '../report.ts'
import { configuration } from '../resolving.ts'
import { median, spread } from '../statistics.ts'
import { inTurns } from '../turns.ts'

const STARTS = 5
/** What the service loads only after it serves takes memory too, and what a load left is collected when it is idle. */
const SETTLE_MS = 3_000
const CALLS = 100_000
/** Of the second pass, as a part of the first. */
const AGAIN_PART = 0.25
const IMAGES = 2_000
const CALLERS = 16

const SETUPS = [
  { doors: 'HTTP', withRuntime: false },
  { doors: 'HTTP and CRI', withRuntime: true },
] as const

/** Node itself takes 37 and 41 MiB. */
const MEMORY_BUDGETS = {
  upTo20: { idleMiB: 55, wornMiB: 85 },
  later: { idleMiB: 65, wornMiB: 95 },
} as const

interface Setup {
  readonly runtime: Runtime
  readonly doors: string
  readonly withRuntime: boolean
}

/**
 * What the service takes of the machine: time to start, memory, processor. With the Node that runs this, and with the
 * one that is shipped.
 */
export function measureFootprint(settings: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    const registries = await startRegistries(cleanup)
    const socket = `${temporaryFolder(cleanup)}/runtime.sock`
    await startScriptedRuntime(cleanup, socket)
    const config = configuration([registries.way(0).healthy])
    const { runtimes, missing } = await nodeVersions()
    const setups = runtimes.flatMap((runtime) => SETUPS.map((each) => ({ ...each, runtime })))
    const starts = await inTurns<Setup, Start>(setups, settings.rounds(STARTS), (setup) =>
      cleanly((each) => startOnce(each, setup, { config, cri: socket })),
    )
    const started = [...starts].map(([{ doors, runtime }, all]) => ({
      what: `${doors}, Node ${runtime.major}`,
      runtime,
      seconds: spread(all.map(({ seconds }) => seconds)),
      socketSeconds: all.flatMap(({ socketSeconds }) => socketSeconds ?? []),
      mebibytes: spread(all.map(({ mebibytes }) => mebibytes)),
    }))
    const calls = settings.quick ? 5_000 : CALLS
    const worn: Wear[] = []
    for (const runtime of runtimes)
      worn.push(await wear(cleanup, runtime, { config, socket, calls }))
    return {
      tables: [
        {
          title: 'Start',
          columns: ['doors', 'start to serving, s', 'resident 3 s later, MiB'],
          rows: started.map(({ what, seconds, mebibytes }) => [what, seconds, mebibytes]),
        },
        ...worn.map(({ table }) => table),
      ],
      budgets: [
        ...started.flatMap(({ what, runtime, seconds, socketSeconds, mebibytes }) => [
          atMost(`start to serving ${what}`, 's', 0.25, seconds.median),
          ...(socketSeconds.length === 0
            ? []
            : [
                atMost(
                  `start to serving the CRI socket alone, Node ${runtime.major}`,
                  's',
                  0.15,
                  median(socketSeconds),
                ),
              ]),
          atMost(
            `memory idle, serving ${what}`,
            'MiB',
            memoryBudget(runtime).idleMiB,
            mebibytes.median,
          ),
        ]),
        ...worn.flatMap(({ runtime, relayedMs, mostMiB }) => [
          atMost(
            `CPU of 1,000 relayed calls, ${CALLERS} callers, Node ${runtime.major}`,
            'ms',
            30,
            relayedMs * 1_000,
          ),
          atMost(
            `memory 3 s after ${CALLS} resolves and ${CALLS} relayed calls, Node ${runtime.major}`,
            'MiB',
            memoryBudget(runtime).wornMiB,
            mostMiB,
          ),
        ]),
      ],
      slower: worn.map(
        ({ runtime, relayedMs }) =>
          `A call that the runtime used to answer by itself now takes ${relayedMs.toFixed(2)} ms of processor time on the way, ${CALLERS} at a time, with Node ${runtime.major}.`,
      ),
      missing,
    }
  })
}

function memoryBudget({ major }: Runtime) {
  return MEMORY_BUDGETS[Number(major) > 20 ? 'later' : 'upTo20']
}

function atMost(what: string, unit: string, budget: number, measured: number): Measurement {
  return { what, unit, budget, bound: 'at most', measured }
}

interface Start {
  readonly seconds: number
  /** Until the CRI socket alone is served; undefined: it is not. */
  readonly socketSeconds: number | undefined
  readonly mebibytes: number
}

async function startOnce(
  cleanup: Cleanup,
  { runtime, withRuntime }: Setup,
  { config, cri }: { readonly config: object; readonly cri: string },
): Promise<Start> {
  const [began, beganAt] = [performance.now(), Date.now()]
  const node = runtime.path
  const daemon = await startDaemon(cleanup, { config, node, ...(withRuntime && { cri }) })
  const seconds = (performance.now() - began) / 1000
  const servedAt = /"time":(\d+)[^\n]*CRI is served/.exec(daemon.program().output())?.[1]
  await delay(SETTLE_MS)
  const mebibytes = residentMiB(daemon.program().pid)
  const socketSeconds = servedAt === undefined ? undefined : (Number(servedAt) - beganAt) / 1_000
  return { seconds, socketSeconds, mebibytes }
}

interface WearOptions {
  readonly config: object
  readonly socket: string
  /** Of each kind. */
  readonly calls: number
}

interface Wear {
  readonly runtime: Runtime
  readonly table: Table
  readonly mostMiB: number
  /** Processor time of one relayed call. */
  readonly relayedMs: number
}

/** One service that works for its living; twice the same, so that what only grows once is told apart. */
async function wear(
  cleanup: Cleanup,
  runtime: Runtime,
  { calls, config, socket }: WearOptions,
): Promise<Wear> {
  const daemon = await startDaemon(cleanup, { config, cri: socket, node: runtime.path })
  const steps: { name: string; peakMiB: number; mebibytes: number; cpuPerThousand: number }[] = []
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
      const [peakMiB, mebibytes] = [peakMemoryMiB(pid), residentMiB(pid)]
      steps.push({ name: named, peakMiB, mebibytes, cpuPerThousand })
    }
  }
  const relayedSteps = steps.filter(({ name }) => name.includes('relayed'))
  await daemon.stop()
  return {
    runtime,
    table: {
      title: `Under load with Node ${runtime.major}, one service, one load after the other`,
      columns: ['after', 'most until then, MiB', 'resident 3 s later, MiB', 'CPU per 1,000, ms'],
      rows: steps.map(({ cpuPerThousand, mebibytes, name, peakMiB }) => [
        name,
        peakMiB,
        mebibytes,
        cpuPerThousand,
      ]),
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
