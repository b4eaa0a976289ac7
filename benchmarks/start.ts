import { setTimeout as delay } from 'node:timers/promises'
import { startDaemon } from '../test/support/daemon.ts'
import { cleanly, type Measurement, median, residentMiB } from './measure.ts'

const ROUNDS = 9
/** What the service loads only after it serves takes memory too. */
const SETTLE_MS = 1_000

/** HTTP alone, and with the CRI socket, which is opened before the runtime is there. */
const SETUPS = [
  { doors: 'HTTP', options: {} },
  { doors: 'HTTP and CRI', options: { cri: '/nonexistent/runtime.sock', config: { force: true } } },
] as const

interface Start {
  readonly seconds: number
  readonly mebibytes: number
}

/** From the start of the process until its doors are open, and what it then holds, unasked. */
export async function measureStart(): Promise<readonly Measurement[]> {
  const starts = SETUPS.map((): Start[] => [])
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { options }] of SETUPS.entries()) {
      starts[index]?.push(await startOnce(options))
    }
  }
  return SETUPS.flatMap(({ doors }, index): Measurement[] => [
    {
      what: `start to serving ${doors}`,
      unit: 's',
      budget: 0.6,
      bound: 'at most',
      measured: median(starts[index]?.map(({ seconds }) => seconds) ?? []),
    },
    {
      what: `memory idle, serving ${doors}`,
      unit: 'MiB',
      budget: 80,
      bound: 'at most',
      measured: median(starts[index]?.map(({ mebibytes }) => mebibytes) ?? []),
    },
  ])
}

function startOnce(options: (typeof SETUPS)[number]['options']): Promise<Start> {
  return cleanly(async (cleanup) => {
    const began = performance.now()
    const daemon = await startDaemon(cleanup, options)
    const seconds = (performance.now() - began) / 1000
    await delay(SETTLE_MS)
    return { seconds, mebibytes: residentMiB(daemon.program().pid) }
  })
}
