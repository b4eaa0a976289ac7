import { setTimeout as sleep } from 'node:timers/promises'
import type { TestNode } from '../support/node.ts'
import { within } from '../support/process-state.ts'
import type { ProxyAction, RegistryProxy } from '../support/registry-proxy.ts'
import type { Random } from './random.ts'

/** How long things stay well and stay broken, in milliseconds. */
const RUNTIME_MS = { well: [5_000, 12_000], broken: [100, 2_000] } as const
const REGISTRY_MS = { well: [1_000, 4_000], broken: [200, 2_500] } as const
const FILE_MS = [1_500, 4_000] as const
/** On a busy machine it may take long until a call meets what is broken. */
const NOTICED_MS = 30_000

const BREAKDOWNS: readonly ProxyAction[] = [
  { kind: 'hang' },
  { kind: 'cut' },
  { kind: 'answer', status: 500 },
  { kind: 'answer', status: 429, headers: { 'retry-after': '1' } },
  { kind: 'tamper', body: (body) => Buffer.concat([body, Buffer.from(' ')]) },
]

export interface Weather {
  /** What happened, by what it is called. */
  readonly events: Readonly<Record<string, number>>
  /** Ends with everything well again. */
  ended: Promise<unknown>
}

/**
 * Breaks what the service stands on, and mends it, until the signal aborts.
 *
 * @param failed calls that found the runtime away; it comes back after one of them
 */
export function makeWeather(
  node: TestNode,
  registries: readonly RegistryProxy[],
  configurations: readonly object[],
  random: Random,
  signal: AbortSignal,
  failed: () => number,
): Weather {
  const events: Record<string, number> = {}
  const happened = (event: string): void => {
    events[event] = (events[event] ?? 0) + 1
  }
  const pause = (range: readonly [number, number]): Promise<unknown> =>
    sleep(random.between(...range), undefined, { signal }).catch(() => {})

  async function runtime(): Promise<void> {
    const { containerd } = node
    while (!signal.aborted) {
      await pause(RUNTIME_MS.well)
      const end = random.one(['kill', 'stop'] as const)
      happened(`runtime: ${end}`)
      const before = failed()
      await containerd[end]()
      await pause(RUNTIME_MS.broken)
      await within(NOTICED_MS, () => signal.aborted || failed() > before)
      await containerd.start()
    }
  }

  async function registry(proxy: RegistryProxy): Promise<void> {
    while (!signal.aborted) {
      await pause(REGISTRY_MS.well)
      if (random.between(0, 1) < 0.4) {
        happened('registry: refuses')
        await proxy.refuse()
        await pause(REGISTRY_MS.broken)
        await proxy.accept()
      } else {
        const breakdown = random.one(BREAKDOWNS)
        happened(`registry: ${breakdown.kind}s`)
        proxy.behave(breakdown)
        await pause(REGISTRY_MS.broken)
        proxy.behave({ kind: 'forward' })
      }
      proxy.clear()
    }
  }

  async function file(): Promise<void> {
    for (let turn = 0; !signal.aborted; turn += 1) {
      await pause(FILE_MS)
      const isGood = turn % 3 > 0
      happened(`file: ${isGood ? 'good' : 'bad'}`)
      node.daemon.configure(isGood ? random.one(configurations) : { adress: 'nowhere' })
      process.kill(node.daemon.program().pid, 'SIGHUP')
    }
    node.daemon.configure(configurations[0] ?? {})
    process.kill(node.daemon.program().pid, 'SIGHUP')
  }

  return { events, ended: Promise.all([runtime(), file(), ...registries.map(registry)]) }
}
