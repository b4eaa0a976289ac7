import { BY_DEFAULT } from '../support/daemon.ts'
import { openHeap } from '../support/heap.ts'
import { startTestNode, type TestNode } from '../support/node.ts'
import { processState, within } from '../support/process-state.ts'
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts'
import type { Cleanup } from '../support/stack.ts'
import { openCaller } from './callers.ts'
import { CallBook } from './calls.ts'
import { keepCalling, keepListening } from './clients.ts'
import { createRandom } from './random.ts'
import { fifths, growthProblems, type Sample, takeSample, takeSamples } from './samples.ts'
import { makeWeather } from './weather.ts'
import { createWorld, type World } from './world.ts'

/** What stays open at rest beside what was open before the first call. */
const MORE_DESCRIPTORS = 4
const REST_MS = 90_000
/** When all is well again, the runtime, which may have come back just now, is found again soon. */
const WELL_MS = 30_000
const SAMPLES = 200

export interface SoakOptions {
  readonly seconds: number
  /** Of what the clients do and what breaks; when things end is the machine's affair. */
  readonly seed: number
}

export interface SoakReport {
  /** Empty when all is well. */
  readonly problems: readonly string[]
  readonly calls: CallBook
  readonly events: Readonly<Record<string, number>>
  readonly parts: readonly Sample[]
  readonly before: Sample
  readonly after: Sample
}

/** The service under mixed calls while the runtime, the registries and its file let it down. */
export async function soak(t: Cleanup, { seconds, seed }: SoakOptions): Promise<SoakReport> {
  const node = await startTestNode(t, settings())
  const origin = await startRegistryProxy(t, node.registry.url)
  const world = await createWorld(node.registry.url, origin.host)
  const { pid } = node.daemon.program()
  const heap = await openHeap(t, node.daemon.program())
  const before = takeSample(pid, performance.now(), await heap.liveMiB())
  const startedAt = performance.now()
  const random = createRandom(seed)
  const book = new CallBook()
  const over = AbortSignal.timeout(seconds * 1_000)
  const registries = [node.first, node.second, origin]
  const failed = () => book.count('ImageStatus', 'UNAVAILABLE')
  const weather = makeWeather(node, registries, configurations(node), random, over, failed)
  const { httpUrl, socketPath } = node.daemon
  const scene = { world, book, random, httpUrl: httpUrl(), signal: over }
  const callers = [
    openCaller(socketPath, 'v1'),
    openCaller(socketPath, 'v1alpha2'),
    openCaller(socketPath, 'v1', socketPath),
  ]

  const [samples] = await Promise.all([
    takeSamples(pid, heap, (seconds * 1_000) / SAMPLES, over),
    weather.ended,
    world.turn(over, random),
    ...callers.flatMap((caller) => [
      keepCalling(caller, scene),
      keepCalling(caller, scene),
      keepListening(caller, scene),
    ]),
  ])
  await Promise.all(callers.map((caller) => caller.close()))

  const problems = [...book.problems, ...growthProblems(fifths(samples))]
  if (book.open > 0) problems.push(`${book.open} calls did not end`)
  if (!node.daemon.program().running()) problems.push('the service has ended')
  problems.push(...(await leftOnTheNode(node, world, registries)))
  const isAtRest = () => processState(pid).descriptors <= before.descriptors + MORE_DESCRIPTORS
  if (!(await within(REST_MS, isAtRest))) problems.push('descriptors stay open')
  const told = node.daemon.program().output().split('\n')
  problems.push(...told.filter((line) => line.includes('unexpected error')))
  const after = takeSample(pid, startedAt, await heap.liveMiB())
  heap.close()
  return { problems, calls: book, events: weather.events, parts: fifths(samples), before, after }
}

/** Every name that can be pulled is, and then nobody sees where it came from. */
async function leftOnTheNode(
  node: TestNode,
  world: World,
  registries: readonly RegistryProxy[],
): Promise<readonly string[]> {
  let last: unknown
  const isPulled = (name: string): Promise<boolean> =>
    node.kubelet.pullImage(name).then(
      () => true,
      (error: unknown) => {
        last = error
        return false
      },
    )
  const problems: string[] = []
  for (const name of world.tags) {
    if (!(await within(WELL_MS, () => isPulled(name)))) problems.push(`${name}: ${last}`)
  }
  const [first, second] = registries.map(({ host }) => host)
  const mirrored = async (): Promise<readonly string[]> =>
    (await node.direct.listImages())
      .flatMap(({ repoTags, repoDigests }) => [...repoTags, ...repoDigests])
      .filter((name) => name.startsWith(`${first}/`) || name.startsWith(`${second}/`))
  await within(REST_MS, async () => (await mirrored()).length === 0)
  const left = (await mirrored()).map(
    (name) => `${name} was left on the node\n${toldOf(name, node)}`,
  )
  return [...problems, ...left]
}

/** What the service has logged last of the image that a name stands for. */
function toldOf(name: string, { daemon }: TestNode): string {
  const digest = name.slice(name.indexOf('@') + 1)
  const lines = daemon.program().output().split('\n')
  return lines
    .filter((line) => line.includes(digest))
    .slice(-20)
    .join('\n')
}

/** So few answers are kept that the cache is full all the time, and does not count as growth. */
function settings(): object {
  return { ...BY_DEFAULT, cache: { tagTTL: '2s', imageCacheSize: 32 }, reloadInterval: '15s' }
}

/** All of them good; the first is in force at the beginning and at the end. */
function configurations({ first, second }: TestNode): readonly object[] {
  const both = (one: RegistryProxy, other: RegistryProxy): object => ({
    ...settings(),
    address: one.url,
    registries: [{ address: other.url, priority: 400 }],
  })
  return [both(first, second), both(second, first), { ...settings(), address: second.url }]
}
