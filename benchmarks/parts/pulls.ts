import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Containerd, startContainerd } from '../../test/support/containerd.ts'
import { type Daemon, startDaemon } from '../../test/support/daemon.ts'
import { type DockerRegistry, startDockerRegistry } from '../../test/support/docker-registry.ts'
import { GrpcClient } from '../../test/support/grpc-client.ts'
import { buildImage, pushImage } from '../../test/support/images.ts'
import { type Cleanup, RUNTIME_PROGRAMS, requireStack } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { type CriCall, pullImage, removeImage } from '../cri/calls.ts'
import { cpuSeconds } from '../machine.ts'
import type { Cell, Findings, Measurement, Settings, Table } from '../report.ts'
import { configuration } from '../resolving.ts'
import { median, percentile, spread } from '../statistics.ts'

/** What images are asked for by; both ways lead to the same registry, as a mirror of this one. */
const DOMAIN = 'registry.example.com'
const MANY = 16
const MOST = 50
const ROUNDS = 4
/** The ways take so many turns in each round. */
const SLICES = 4
const DIRECT = 'direct'
const SHIM = 'through image-resolver'
/** Calls of each kind before anything counts: Node compiles what runs often. */
const WARM_CALLS = 400
const BOOT_PODS = 40
const BOOT_IMAGES = 25

interface Way {
  readonly name: string
  readonly client: GrpcClient
}

interface Node {
  readonly ways: readonly Way[]
  readonly registry: DockerRegistry
  readonly daemon: Daemon
  readonly images: readonly string[]
}

interface Kind {
  readonly name: string
  readonly callers: number
  readonly calls: number
  readonly call: (image: string) => CriCall
  /** The first so many, over and over. */
  readonly images: number
  /** What is done with all of them before it counts. */
  readonly before?: (image: string) => CriCall
}

interface Budgets {
  readonly ratio: number
  readonly requests?: number
  readonly cpuMs?: number
}

const KINDS: readonly (Kind & { readonly budgets?: Budgets })[] = [
  {
    name: 'PullImage, there and unchanged',
    callers: 1,
    calls: 100,
    call: pullImage,
    images: 1,
    budgets: { ratio: 0.7, requests: 1, cpuMs: 2 },
  },
  {
    name: 'PullImage, there and unchanged',
    callers: MANY,
    calls: 320,
    call: pullImage,
    images: 1,
    budgets: { ratio: 0.8 },
  },
  {
    name: 'PullImage, absent, tiny',
    callers: 1,
    calls: MANY,
    call: pullImage,
    images: MANY,
    before: removeImage,
    budgets: { ratio: 1.15, cpuMs: 4 },
  },
  {
    name: 'RemoveImage',
    callers: 1,
    calls: MANY,
    call: removeImage,
    images: MANY,
    before: pullImage,
    budgets: { ratio: 1.3 },
  },
  {
    name: 'PullImage, absent, tiny',
    callers: MANY,
    calls: 2 * MANY,
    call: pullImage,
    images: 2 * MANY,
    before: removeImage,
    budgets: { ratio: 1.3 },
  },
  {
    name: 'PullImage, absent, tiny',
    callers: MOST,
    calls: MOST,
    call: pullImage,
    images: MOST,
    before: removeImage,
  },
  {
    name: `a node's boot: ${BOOT_PODS} pods, ${BOOT_IMAGES} images, all there, \`Always\``,
    callers: BOOT_PODS,
    calls: BOOT_PODS,
    call: pullImage,
    images: BOOT_IMAGES,
    before: pullImage,
  },
]

/** Of one way in one round. */
interface Sample {
  readonly ms: readonly number[]
  /** From the first call to the last answer, in all slices. */
  readonly totalMs: number
  /** At registries, ours and the runtime's. */
  readonly requests: number
  /** Of our process, for each call. */
  readonly cpuMs: number
}

/** What a pull through us costs beside one of containerd's own, from the same registry. */
export function measurePulls(settings: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    let missing = ''
    const skip = (why: string): void => {
      missing = why
    }
    const skippable = { after: (end: () => unknown) => cleanup.after(end), skip }
    if (!requireStack(skippable, RUNTIME_PROGRAMS)) return { tables: [], missing: [missing] }
    const node = await startNode(cleanup, settings.quick ? WARM_CALLS / 4 : WARM_CALLS)
    const samples = new Map<string, Sample[]>()
    for (const round of settings.rounds(ROUNDS)) {
      for (const kind of KINDS) {
        for (const [way, sample] of await measure(node, kind, round)) {
          const key = keyOf(kind, way)
          samples.set(key, [...(samples.get(key) ?? []), sample])
        }
      }
    }
    const of = (kind: Kind, way: string): readonly Sample[] => samples.get(keyOf(kind, way)) ?? []
    return { tables: [tableOf(of)], budgets: KINDS.flatMap((kind) => budgetsOf(kind, of)) }
  })
}

type SamplesOf = (kind: Kind, way: string) => readonly Sample[]

function keyOf({ callers, name }: Kind, way: string): string {
  return `${name} ${callers} ${way}`
}

async function startNode(cleanup: Cleanup, warmCalls: number): Promise<Node> {
  const [containerd, registry] = await Promise.all([
    startContainerd(cleanup),
    startDockerRegistry(cleanup),
  ])
  mirrorOf(containerd, registry)
  const numbers = Array.from({ length: MOST }, (_, number) => number)
  for (const number of numbers) {
    await pushImage(registry.url, `team/app-${number}`, '1', buildImage({ seed: `${number}` }))
  }
  const daemon = await startDaemon(cleanup, {
    cri: containerd.socketPath,
    config: configuration([registry.host]),
  })
  const ways = [
    { name: DIRECT, client: new GrpcClient(containerd.socketPath) },
    { name: SHIM, client: new GrpcClient(daemon.socketPath) },
  ]
  for (const { client } of ways) cleanup.after(() => client.close())
  const images = numbers.map((number) => `${DOMAIN}/team/app-${number}:1`)
  const node = { ways, registry, daemon, images }
  for (const { client } of ways) {
    for (const image of images) await once(client, pullImage(image))
    await Promise.all(images.map((image) => once(client, removeImage(image))))
    for (const image of images) await once(client, pullImage(image))
    for (let call = 0; call < warmCalls; call += 1) {
      await once(client, pullImage(images[call % images.length] ?? ''))
    }
  }
  return node
}

/** For containerd, which asks this registry for images of that domain; image-resolver has it configured. */
function mirrorOf({ hostsFolder }: Containerd, { url }: DockerRegistry): void {
  const folder = join(hostsFolder, DOMAIN)
  mkdirSync(folder)
  writeFileSync(
    join(folder, 'hosts.toml'),
    `server = "${url}"\n[host."${url}"]\ncapabilities = ["pull", "resolve"]\n`,
  )
}

/** The ways take turns, the last one first in every other round. */
async function measure(
  { daemon, images, registry, ways }: Node,
  kind: Kind,
  round: number,
): Promise<ReadonlyMap<string, Sample>> {
  const { pid } = daemon.program()
  const order = round % 2 === 0 ? ways : [...ways].reverse()
  const samples = new Map<string, Sample>()
  const chosen = images.slice(0, kind.images)
  for (let slice = 0; slice < SLICES; slice += 1) {
    for (const { client, name } of order) {
      for (const image of kind.before === undefined ? [] : chosen) {
        await once(client, kind.before?.(image) as CriCall)
      }
      const requestsBefore = requestsOf(registry)
      const cpuBefore = cpuSeconds(pid)
      const began = performance.now()
      const count = kind.images === kind.calls ? kind.calls : Math.ceil(kind.calls / SLICES)
      const calls = Array.from(
        { length: kind.callers === BOOT_PODS ? kind.calls : count },
        (_, index) => kind.call(chosen[index % chosen.length] ?? ''),
      )
      const ms = await callAll(client, calls, kind.callers)
      const totalMs = performance.now() - began
      const sample = samples.get(name)
      samples.set(name, {
        ms: [...(sample?.ms ?? []), ...ms],
        totalMs: (sample?.totalMs ?? 0) + totalMs,
        requests: (sample?.requests ?? 0) + requestsOf(registry) - requestsBefore,
        cpuMs: (sample?.cpuMs ?? 0) + (cpuSeconds(pid) - cpuBefore) * 1_000,
      })
    }
  }
  return new Map(
    [...samples].map(([name, sample]) => {
      const { cpuMs, ms, requests } = sample
      return [name, { ...sample, requests: requests / ms.length, cpuMs: cpuMs / ms.length }]
    }),
  )
}

/** So many at a time, in their order. */
async function callAll(
  client: GrpcClient,
  calls: readonly CriCall[],
  callers: number,
): Promise<readonly number[]> {
  const ms: number[] = []
  const waiting = [...calls]
  const oneCaller = async (): Promise<void> => {
    for (let call = waiting.shift(); call !== undefined; call = waiting.shift()) {
      const began = performance.now()
      await once(client, call)
      ms.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: callers }, oneCaller))
  return ms
}

async function once(client: GrpcClient, call: CriCall): Promise<void> {
  const answer = await client.call(call.path, [Buffer.from(call.request, 'base64')])
  if (answer.code !== 0) throw new Error(`${call.name}: ${answer.code} ${answer.message}`)
}

/** So far; it writes one line about each. */
function requestsOf(registry: DockerRegistry): number {
  return registry.log().split('msg="response completed"').length - 1
}

function tableOf(of: SamplesOf): Table {
  return {
    title: 'Pulling and removing, containerd and docker-registry',
    columns: [
      'call',
      'callers',
      'way',
      'p50, ms',
      'p50 of direct',
      'p99, ms',
      'all of them, ms',
      'requests of one',
      'CPU of one, ms',
    ],
    rows: KINDS.flatMap((kind) =>
      [DIRECT, SHIM].map((way): readonly Cell[] => {
        const samples = of(kind, way)
        return [
          kind.name,
          kind.callers,
          way,
          spread(samples.map(({ ms }) => percentile(ms, 0.5))),
          spread(ratios(kind, way, of)),
          percentile(
            samples.flatMap(({ ms }) => ms),
            0.99,
          ),
          spread(samples.map(({ totalMs }) => totalMs / SLICES)),
          spread(samples.map(({ requests }) => requests)),
          way === DIRECT ? '' : spread(samples.map(({ cpuMs }) => cpuMs)),
        ]
      }),
    ),
    note: `Images are called \`${DOMAIN}/…\`, which containerd finds by hosts.toml, and image-resolver in its configuration, at the same registry. Requests are those that this registry got, CPU is that of image-resolver.`,
  }
}

/** Round by round. */
function ratios(kind: Kind, way: string, of: SamplesOf): readonly number[] {
  const typical = ({ ms }: Sample): number => percentile(ms, 0.5)
  const direct = of(kind, DIRECT).map(typical)
  return of(kind, way).map((sample, round) => typical(sample) / (direct[round] ?? Number.NaN))
}

function budgetsOf(
  kind: Kind & { readonly budgets?: Budgets },
  of: SamplesOf,
): readonly Measurement[] {
  const { budgets, callers, name } = kind
  if (budgets === undefined) return []
  const what = `${name}, ${callers === 1 ? '1 caller' : `${callers} callers`}`
  const samples = of(kind, SHIM)
  const atMost = (
    unit: string,
    budget: number | undefined,
    values: readonly number[],
  ): readonly Measurement[] =>
    budget === undefined ? [] : [{ what, unit, budget, bound: 'at most', measured: median(values) }]
  return [
    ...atMost('x direct, p50', budgets.ratio, ratios(kind, SHIM, of)),
    ...atMost(
      'requests',
      budgets.requests,
      samples.map(({ requests }) => requests),
    ),
    ...atMost(
      'ms CPU',
      budgets.cpuMs,
      samples.map(({ cpuMs }) => cpuMs),
    ),
  ]
}
