import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { reservePort } from '../../test/support/port.ts'
import { type Redis, startRedis } from '../../test/support/redis.ts'
import { type Cleanup, findProgram, temporaryFolder } from '../../test/support/stack.ts'
import { seededRandom, zipf } from '../cache/stream.ts'
import { cleanly } from '../cleanly.ts'
import { FLEET_NODES, type NodesReport, type Pull } from '../processes/fleet-nodes.ts'
import { FLEET_REGISTRY, now, type RegistryReport } from '../processes/fleet-registry.ts'
import type { Cell, Findings, Settings } from '../report.ts'
import { percentile } from '../statistics.ts'
import { TYPESCRIPT } from '../typescript.ts'

const IMAGES = 200
const SKEW = 1
const FRESHNESS_MS = 5_000
const PULLS_EACH = 2
const SIZES = { full: [1, 50, 500, 5_000], quick: [1, 50, 200] }
const STORM_SECONDS = { full: 30, quick: 6 }
const NODES_A_PROCESS = 250
/** Opened at one time: each loads all of the program. */
const STARTED_AT_ONCE = 2
/** Of its heap; it takes some 100 MiB, and each node 1 MiB. */
const HEAP_MIB = 768
const CONNECT_LIMIT_MS = 60_000
const MOVES_A_SECOND = 4
const MEBIBYTE = 1024 * 1024
const STORE = ['--bind', '127.0.0.1', '--maxclients', '12000', '--tcp-backlog', '4096']
const KEY = 'the key of a fleet that exists for one benchmark'

/** A fleet that pulls, with a real store and a registry that counts, and without the store. */
export async function measureFleet({ quick }: Settings): Promise<Findings> {
  if (findProgram('redis-server') === undefined) {
    return { tables: [], missing: ['no redis-server here'] }
  }
  const sizes = quick ? SIZES.quick : SIZES.full
  const seconds = quick ? STORM_SECONDS.quick : STORM_SECONDS.full
  const largest = sizes.at(-1) ?? 1
  const { moving, storms } = await cleanly(async (whole) => {
    const processes = await startProcesses(whole, Math.ceil(largest / NODES_A_PROCESS))
    const run = (nodes: number, way: Scene['way'], moves: number): Promise<Storm> =>
      cleanly((cleanup) => storm(cleanup, processes, { nodes, seconds, way, moves }))
    const storms: Storm[] = []
    for (const nodes of sizes) {
      for (const way of ['with', 'without'] as const) storms.push(await run(nodes, way, 0))
    }
    return { storms, moving: await run(largest, 'with', MOVES_A_SECOND) }
  })
  const shared = storms.filter(({ way }) => way === 'with')
  const alone = storms.filter(({ way }) => way === 'without')
  const biggest = shared.at(-1)
  const all = [...storms, moving]
  const failures = all.flatMap(({ pulls }) => pulls.flatMap(({ failure }) => failure ?? []))
  const points = (of: readonly Storm[], y: (storm: Storm) => number) =>
    of.map((each): readonly [number, number] => [each.nodes, Math.max(1, y(each))])
  return {
    tables: [
      {
        title: `Each node pulls ${PULLS_EACH} of ${IMAGES} images within ${seconds} s, freshness ${FRESHNESS_MS / 1_000} s`,
        columns: [
          'nodes',
          'pulls',
          'registry requests',
          'least possible',
          'without the store',
          'store commands',
          'store memory, MiB',
          'answers of another node, p50, ms',
          'p99, ms',
          'asked by the node itself, p50, ms',
          'without the store, p50, ms',
          'processor time of a pull, ms',
          'without the store, ms',
          'memory of a node, MiB',
        ],
        rows: shared.map((each, index): Cell[] => [
          each.nodes,
          each.pulls.length,
          each.requests,
          each.least,
          alone[index]?.requests ?? '-',
          each.commands,
          each.storeMiB,
          ...latencies(each.pulls, 'shared'),
          latencies(each.pulls, 'registry')[0] ?? '-',
          latencies(alone[index]?.pulls ?? [], 'registry')[0] ?? '-',
          each.cpuMs,
          alone[index]?.cpuMs ?? '-',
          each.residentMiB,
        ]),
        note: `Popularity follows Zipf's law (s = ${SKEW}). "Least possible" is one request for each image and freshness window in which it is pulled. A lookup takes what the table says with all nodes, the store and the registry on the processors of this machine; the registry answers after 10 ms. Nodes of one process share its code: a service of its own takes what the footprint says.`,
        copiedTo: 'fleet',
      },
      {
        title: `The same at ${largest} nodes, while ${MOVES_A_SECOND} tags move each second`,
        columns: ['tags that moved', 'registry requests', 'answers', 'older than the freshness'],
        rows: [[moving.moved, moving.requests, moving.pulls.length, moving.untrue]],
        note: 'An answer counts as older when its digest was not what the tag pointed at at any time from the freshness before the question to the answer.',
      },
    ],
    missing: failures.slice(0, 1).map((text) => `${failures.length} pulls, the first: ${text}`),
    plots: [
      {
        name: 'fleet',
        title: `${PULLS_EACH} pulls of each node in ${seconds} s`,
        xLabel: 'nodes',
        yLabel: 'requests, commands',
        logX: true,
        logY: true,
        series: [
          { name: 'registry, with store', points: points(shared, ({ requests }) => requests) },
          { name: 'registry, without', points: points(alone, ({ requests }) => requests) },
          { name: 'store commands', points: points(shared, ({ commands }) => commands) },
        ],
      },
    ],
    budgets: [
      {
        what: `registry requests of ${largest} nodes for each image and freshness window`,
        unit: 'requests',
        budget: 1.05,
        bound: 'at most',
        measured: (biggest?.requests ?? 0) / (biggest?.least ?? 1),
      },
      {
        what: 'store commands for each pull',
        unit: 'commands',
        budget: 3,
        bound: 'at most',
        measured: (biggest?.commands ?? 0) / (biggest?.pulls.length ?? 1),
      },
      {
        what: 'pulls of a fleet that failed',
        unit: 'pulls',
        budget: 0,
        bound: 'at most',
        measured: failures.length,
      },
      {
        what: 'answers of a fleet older than its freshness, while tags move',
        unit: 'answers',
        budget: 0,
        bound: 'at most',
        measured: moving.untrue,
      },
    ],
  }
}

interface Scene {
  readonly nodes: number
  readonly seconds: number
  readonly way: 'with' | 'without'
  /** Tags that move each second. */
  readonly moves: number
}

interface Storm extends Scene {
  readonly pulls: readonly Pull[]
  readonly requests: number
  readonly least: number
  readonly moved: number
  readonly untrue: number
  readonly commands: number
  readonly storeMiB: number
  readonly residentMiB: number
  /** Of the nodes, for each pull. */
  readonly cpuMs: number
}

async function storm(cleanup: Cleanup, all: readonly Child[], scene: Scene): Promise<Storm> {
  const { moves, nodes, seconds, way } = scene
  const registry = await startChild(cleanup, FLEET_REGISTRY)
  const { host } = registry.first as { readonly host: string }
  const port = await reservePort(cleanup)
  const store =
    way === 'with' ? await startRedis(cleanup, [...STORE, '--port', String(port)]) : undefined
  const shared = store && sharedFields(cleanup, port)
  const processes = await openNodes(cleanup, all, nodes, { registry: host, shared })
  // Connections stand before the first pull, as on nodes that have been up for a while.
  if (store !== undefined) await connected(store, nodes)
  const before = await storeCommands(store)
  const asked = (await registry.ask({ report: true })) as RegistryReport
  const random = seededRandom(46_255)
  const image = zipf(IMAGES, SKEW, random)
  const startAt = now() + 500
  const reports = Promise.all(
    processes.map(async ({ ask, own }) => {
      const pulls = Array.from({ length: own }, (_, node) =>
        Array.from({ length: PULLS_EACH }, () => [node, image(), random() * seconds * 1_000]),
      ).flat()
      return (await ask({ pulls, startAt })) as NodesReport
    }),
  )
  const timer = setInterval(
    () => {
      for (let each = 0; each < moves; each += 1) registry.child.send({ move: image() })
    },
    moves === 0 ? 2 ** 30 : 1_000,
  )
  const done = await reports
  clearInterval(timer)
  const pulls = done.flatMap((each) => each.pulls)
  const { history, requests } = (await registry.ask({ report: true })) as RegistryReport
  return {
    ...scene,
    pulls,
    requests: requests - asked.requests,
    least: leastRequests(pulls),
    moved: Object.values(history).reduce((sum, all) => sum + all.length - 1, 0),
    untrue: pulls.filter((each) => !each.failure && !isTrue(each, history)).length,
    commands: (await storeCommands(store)) - before,
    storeMiB: ((await store?.figure('used_memory')) ?? 0) / MEBIBYTE,
    residentMiB: done.reduce((sum, each) => sum + each.residentMiB, 0) / nodes,
    cpuMs: done.reduce((sum, each) => sum + each.cpuMs, 0) / pulls.length,
  }
}

function sharedFields(cleanup: Cleanup, port: number): object {
  const key = join(temporaryFolder(cleanup), 'fleet.key')
  writeFileSync(key, KEY)
  const url = `redis://127.0.0.1:${port}`
  return { url, key: `file:${key}`, freshness: `${FRESHNESS_MS}ms`, budget: '1s' }
}

async function startProcesses(cleanup: Cleanup, count: number): Promise<readonly Child[]> {
  const started: Child[] = []
  while (started.length < count) {
    const some = Math.min(STARTED_AT_ONCE, count - started.length)
    const batch = Array.from({ length: some }, () => startChild(cleanup, FLEET_NODES))
    started.push(...(await Promise.all(batch)))
  }
  return started
}

/** Nodes in as few of the processes as hold them, gone after the storm. */
async function openNodes(
  cleanup: Cleanup,
  processes: readonly Child[],
  nodes: number,
  scene: { readonly registry: string; readonly shared: object | undefined },
) {
  const used = processes.slice(0, Math.ceil(nodes / NODES_A_PROCESS)).map(({ ask }, index) => {
    const own = Math.min(NODES_A_PROCESS, nodes - index * NODES_A_PROCESS)
    return { ask, own }
  })
  cleanup.after(() => Promise.all(used.map(({ ask }) => ask({ close: true }))))
  await Promise.all(used.map(({ ask, own }) => ask({ open: own, ...scene })))
  return used
}

interface Child {
  readonly child: ChildProcess
  /** What it said when it was ready. */
  readonly first: unknown
  /** Rejects when the process ends in the place of an answer. */
  readonly ask: (order: object) => Promise<unknown>
}

async function startChild(cleanup: Cleanup, file: string): Promise<Child> {
  const child = fork(file, { execArgv: [...TYPESCRIPT, `--max-old-space-size=${HEAP_MIB}`] })
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${basename(file)} ended in the middle: ${signal ?? `exit code ${code}`}`)
  })
  // It ends at the end, too.
  ended.catch(() => {})
  cleanup.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const answer = async (): Promise<unknown> =>
    (await Promise.race([once(child, 'message'), ended]))[0]
  const ask = (order: object): Promise<unknown> => {
    const answered = answer()
    child.send(order)
    return answered
  }
  return { child, first: await answer(), ask }
}

/** One for each image and window in which it is pulled, a window beginning with the pull that finds none. */
function leastRequests(pulls: readonly Pull[]): number {
  const last = new Map<number, number>()
  let least = 0
  for (const { app, began } of [...pulls].sort((a, b) => a.began - b.began)) {
    if (began - (last.get(app) ?? 0) < FRESHNESS_MS) continue
    last.set(app, began)
    least += 1
  }
  return least
}

/** Whether the tag pointed at that digest at any time that counts. */
function isTrue({ app, began, digest, ended }: Pull, history: RegistryReport['history']): boolean {
  const all = history[app] ?? []
  return all.some(([each, since], index) => {
    const until = all[index + 1]?.[1] ?? Number.POSITIVE_INFINITY
    return each === digest && since <= ended && until >= began - FRESHNESS_MS
  })
}

function latencies(pulls: readonly Pull[], from: 'shared' | 'registry'): Cell[] {
  const taken = pulls.filter(({ source }) => source === from)
  if (taken.length === 0) return ['-', '-']
  const ms = taken.map(({ began, ended }) => ended - began)
  return [percentile(ms, 0.5), percentile(ms, 0.99)]
}

/** Lookups and answers, each one script; what the scripts do is not counted again. */
async function storeCommands(store: Redis | undefined): Promise<number> {
  if (store === undefined) return 0
  const stats = await store.command('info', 'commandstats')
  const calls = [...stats.matchAll(/^cmdstat_(?:evalsha|eval):calls=(\d+)/gm)]
  return calls.reduce((sum, [, count]) => sum + Number(count), 0)
}

async function connected(store: Redis, nodes: number): Promise<void> {
  const endAt = performance.now() + CONNECT_LIMIT_MS
  for (;;) {
    const clients = await store.figure('connected_clients')
    if (clients > nodes) return
    if (performance.now() > endAt) {
      throw new Error(`${clients} of ${nodes} nodes reached the store within a minute`)
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
