import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { dump } from 'js-yaml'
import { parseReference } from '../../src/reference/reference.ts'
import { type Core, createCore } from '../../src/service/core.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { loadText } from '../../test/support/config.ts'
import { residentMiB } from '../machine.ts'
import { now } from './fleet-registry.ts'

// Nodes of a fleet, many in one process, each with a cache and a connection to the store of its own, asked over IPC.

export const FLEET_NODES = fileURLToPath(import.meta.url)

/** Images that a process pulls before it is measured, so that its code is compiled as on a node that has been up for a while. */
const FIRST_IMAGES = 20
/** Their numbers begin here; no others are pulled. */
const FIRST_IMAGE = 1_000_000

export type NodesOrder =
  | { readonly open: number; readonly registry: string; readonly shared: object | undefined }
  | {
      /** Node, image, and when, in milliseconds from the start. */
      readonly pulls: readonly (readonly [node: number, app: number, atMs: number])[]
      /** Milliseconds since the epoch. */
      readonly startAt: number
    }
  | { readonly close: true }

/** What PullImage resolved, and when. */
export interface Pull {
  readonly app: number
  /** undefined: it failed, see `failure`. */
  readonly digest?: string
  readonly failure?: string
  readonly source?: string
  /** Milliseconds since the epoch. */
  readonly began: number
  readonly ended: number
}

export interface NodesReport {
  readonly pulls: readonly Pull[]
  readonly residentMiB: number
  /** Processor time of the process during the pulls. */
  readonly cpuMs: number
}

if (process.argv[1] === FLEET_NODES) {
  const cores: Core[] = []
  process.on('message', (order: NodesOrder) => {
    void obey(cores, order).then((report) => process.send?.(report))
  })
  process.send?.({ ready: true })
}

async function obey(cores: Core[], order: NodesOrder): Promise<object> {
  if ('open' in order) {
    for (let node = 0; node < order.open; node += 1) cores.push(open(order))
    await Promise.all(cores.map((core) => core.share()))
    const image = FIRST_IMAGE + process.pid * FIRST_IMAGES
    for (let each = 0; each < FIRST_IMAGES; each += 1) await pull(cores[0], image + each)
    return { opened: cores.length }
  }
  if ('close' in order) {
    await Promise.all(cores.splice(0).map((core) => core.close()))
    return { closed: true }
  }
  const before = process.cpuUsage()
  const pulls = await Promise.all(
    order.pulls.map(async ([node, app, atMs]) => {
      await pause(Math.max(0, order.startAt + atMs - now()))
      return pull(cores[node], app)
    }),
  )
  const { system, user } = process.cpuUsage(before)
  const cpuMs = (system + user) / 1_000
  return { pulls, residentMiB: residentMiB(process.pid), cpuMs } satisfies NodesReport
}

const registries = new WeakMap<Core, string>()

function open({ registry, shared }: Extract<NodesOrder, { open: number }>): Core {
  const { config } = loadText(
    dump({
      cache: { tagTTL: '1h', ...(shared !== undefined && { shared }) },
      registries: [{ address: `http://${registry}` }],
    }),
  )
  const core = createCore(config, silentLogger(), () => undefined)
  registries.set(core, registry)
  return core
}

/** As PullImage resolves with `imagePullPolicy: Always`. */
async function pull(core: Core | undefined, app: number): Promise<Pull> {
  const began = now()
  try {
    const reference = parseReference(`${core && registries.get(core)}/fleet/app-${app}:live`)
    const asked = { refresh: true, shared: true, urgent: true }
    const found = await core?.resolver.resolve(reference, asked)
    return { app, digest: found?.digest ?? '', source: found?.source ?? '', began, ended: now() }
  } catch (thrown) {
    return { app, failure: String(thrown), began, ended: now() }
  }
}
