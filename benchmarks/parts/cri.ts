import { startContainerd } from '../../test/support/containerd.ts'
import { criClient } from '../../test/support/cri-client.ts'
import { startDaemon } from '../../test/support/daemon.ts'
import { type Cleanup, requireStack, temporaryFolder } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import {
  type CriCall,
  execSync,
  imageStatus,
  listImages,
  pullImage,
  version,
} from '../cri/calls.ts'
import { loadCri, startBytePipe, startDecodingShim, startScriptedRuntime } from '../cri-load.ts'
import type { CriFigures, CriWay } from '../processes/cri-load.ts'
import { type Registries, startRegistries } from '../registries.ts'
import type { Findings, Measurement, Plot, Settings, Table } from '../report.ts'
import { configuration } from '../resolving.ts'
import { median, spread } from '../statistics.ts'

const CALLERS = [1, 16, 64]
const LISTED = [10, 1_000, 20_000]
const ROUNDS = 4
const MS = 350
/** In half an hour a kubelet makes more: it lists sandboxes and containers once a second. */
const WARM_CALLS = 3_000
const FIRST_CALLS = 500
const PROGRAMS = ['containerd', 'runc']
const IMAGE = 'registry.example.com/team/app:1'
const DIRECT = 'direct'
const SHIM = 'through image-resolver'
const OLD = 'the same, path as :authority'
/** See processes/decoding-shim.ts. */
const DECODING = 'through a shim that decodes, in Node'
/** See processes/byte-pipe.ts. */
const PIPE = 'bytes piped, in Node'
const WAYS = [DIRECT, SHIM, OLD, PIPE, DECODING]
const JUST_STARTED = `ImageStatus, first ${FIRST_CALLS}`

interface Scene {
  readonly runtime: string
  readonly socket: string
  readonly image: string
  readonly calls: readonly CriCall[]
  readonly config: object
}

interface Measured {
  readonly scene: Scene
  readonly rounds: readonly (readonly CriFigures[])[]
}

/** What it costs to stand between kubelet and its runtime. */
export function measureCri(settings: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    const registries = await startRegistries(cleanup)
    const { reason, scene } = await realScene(cleanup, registries)
    const scenes = [
      ...(scene === undefined ? [] : [scene]),
      await scriptedScene(cleanup, registries),
    ]
    const measured: Measured[] = []
    for (const each of scenes)
      measured.push({ scene: each, rounds: await measureScene(each, settings) })
    const [first] = measured
    if (first === undefined) throw new Error('no runtime')
    const ratio = median(ratiosOf(first, 'ImageStatus', 1, SHIM))
    const old = median(ratiosOf(first, 'ImageStatus', 1, OLD))
    const pipe = median(ratiosOf(first, 'ImageStatus', 1, PIPE))
    const started = median(ratiosOf(first, JUST_STARTED, 1, SHIM))
    return {
      tables: measured.map(tableOf),
      plots: measured.slice(-1).map(listPlot),
      budgets: [
        ...CALLERS.map(
          (callers): Measurement => ({
            what: `ImageStatus through the shim, ${first.scene.runtime}, ${callers} ${callers === 1 ? 'caller' : 'callers'}`,
            unit: 'x direct, p50',
            budget: 1.5,
            bound: 'at most',
            measured: median(ratiosOf(first, 'ImageStatus', callers, SHIM)),
          }),
        ),
      ],
      slower: [
        `The first ${FIRST_CALLS} calls after the shim has started take ${started.toFixed(1)} times as long as direct (${first.scene.runtime}, ImageStatus, p50): Node has yet to compile what it runs.`,
        `ImageStatus through the shim takes ${ratio.toFixed(1)} times as long as direct (${first.scene.runtime}, p50, one caller), ${old.toFixed(1)} times for a client that sends the socket's path as \`:authority\`; a Node process that passes bytes on without looking at them takes ${pipe.toFixed(1)} times as long.`,
      ],
      missing: reason === undefined ? [] : [`real containerd: ${reason}`],
    }
  })
}

/** All clients and the shim anew in each round; the order of the ways is turned about. */
async function measureScene(
  scene: Scene,
  settings: Settings,
): Promise<readonly (readonly CriFigures[])[]> {
  const rounds: (readonly CriFigures[])[] = []
  for (const round of settings.rounds(ROUNDS)) {
    const figures = await cleanly(async (cleanup) => {
      const { config, socket } = scene
      const daemon = await startDaemon(cleanup, { cri: socket, config })
      const { socketPath } = daemon
      const decoding = `${temporaryFolder(cleanup)}/shim.sock`
      await startDecodingShim(cleanup, decoding, socket)
      const pipe = `${temporaryFolder(cleanup)}/pipe.sock`
      await startBytePipe(cleanup, pipe, socket)
      const ways: readonly CriWay[] = [
        { name: DIRECT, socket },
        { name: SHIM, socket: socketPath },
        { name: OLD, socket: socketPath, authority: socketPath },
        { name: PIPE, socket: pipe },
        { name: DECODING, socket: decoding, imagesOnly: true },
      ]
      return loadCri({
        ways,
        backwards: round % 2 !== 0,
        warmUp: {
          call: justStarted(scene.image),
          first: FIRST_CALLS,
          more: settings.quick ? FIRST_CALLS : WARM_CALLS,
        },
        calls: scene.calls,
        ms: settings.quick ? 150 : MS,
      })
    })
    rounds.push(figures)
  }
  return rounds
}

function justStarted(image: string): CriCall {
  return { ...imageStatus(image, 1), name: JUST_STARTED }
}

/** containerd with an image in it, where it can be had. */
async function realScene(
  cleanup: Cleanup,
  registries: Registries,
): Promise<{ readonly scene?: Scene; readonly reason?: string }> {
  let reason = ''
  const skippable = {
    after: (end: () => unknown) => cleanup.after(end),
    skip: (why: string) => {
      reason = why
    },
  }
  if (!requireStack(skippable, PROGRAMS)) return { reason }
  const containerd = await startContainerd(cleanup)
  const { healthy } = registries.way(0)
  const image = `${healthy}/team/app:1`
  const client = criClient(cleanup, containerd.socketPath)
  await client.pullImage(image)
  client.client.close()
  const calls = [
    version(1),
    ...CALLERS.map((callers) => imageStatus(image, callers)),
    listImages(1),
    pullImage(image),
  ]
  const config = configuration([healthy])
  return { scene: { runtime: 'containerd', socket: containerd.socketPath, image, calls, config } }
}

async function scriptedScene(cleanup: Cleanup, registries: Registries): Promise<Scene> {
  const socket = `${temporaryFolder(cleanup)}/runtime.sock`
  await startScriptedRuntime(cleanup, socket)
  return {
    runtime: 'scripted runtime',
    socket,
    image: IMAGE,
    calls: [
      ...CALLERS.map((callers) => version(callers)),
      ...CALLERS.map((callers) => imageStatus(IMAGE, callers)),
      ...LISTED.map((images) => listImages(images)),
      execSync(1),
    ],
    config: configuration([registries.way(0).healthy]),
  }
}

function tableOf(measured: Measured): Table {
  const { calls, image, runtime } = measured.scene
  const rows = [justStarted(image), ...calls].flatMap(({ callers, name }) =>
    WAYS.flatMap((way) => {
      const figures = figuresOf(measured, name, callers, way)
      // The third way finds the shim warm from the second.
      if (figures.length === 0 || (name === JUST_STARTED && way === OLD)) return []
      return [
        [
          name,
          callers,
          way,
          spread(figures.map(({ p50Ms }) => p50Ms)),
          spread(ratiosOf(measured, name, callers, way)),
          spread(figures.map(({ p99Ms }) => p99Ms)),
          spread(figures.map(({ perSecond }) => perSecond)),
        ],
      ]
    }),
  )
  return {
    title: `In front of ${runtime === 'containerd' ? 'containerd' : 'a scripted runtime'}`,
    columns: ['call', 'callers', 'way', 'p50, ms', 'p50 of direct', 'p99, ms', 'calls/s'],
    rows,
    ...(runtime === 'containerd'
      ? {
          note: "PullImage through image-resolver asks the registry what the tag is now, has the runtime pull that, and sees to the names. The shim that decodes is the shape of sealos' image-cri-shim without its names and registries: each message read and written anew, each status asked for twice. In Node it says how much of the way ours leaves out, and bytes that are piped what any Node process takes; the Go program itself took 3.7 to 4.2 times as long as direct for ImageStatus, measured once beside it.",
        }
      : {
          note: 'It answers from memory at once, so that what is left is the way: the ratios are as bad as they get.',
        }),
  }
}

function figuresOf(
  { rounds }: Pick<Measured, 'rounds'>,
  call: string,
  callers: number,
  way: string,
): readonly CriFigures[] {
  return rounds.flatMap((figures) =>
    figures.filter((each) => each.call === call && each.callers === callers && each.way === way),
  )
}

/** Round by round: of the p50 of the same call made directly. */
function ratiosOf(
  source: Pick<Measured, 'rounds'>,
  call: string,
  callers: number,
  way: string,
): readonly number[] {
  const direct = figuresOf(source, call, callers, DIRECT)
  return figuresOf(source, call, callers, way).map(
    ({ p50Ms }, round) => p50Ms / (direct[round]?.p50Ms ?? Number.NaN),
  )
}

function listPlot(measured: Measured): Plot {
  return {
    name: 'cri-list-images',
    title: 'ListImages by the number of images, scripted runtime',
    xLabel: 'images',
    yLabel: 'p50, ms',
    logX: true,
    logY: true,
    series: [DIRECT, SHIM].map((way) => ({
      name: way,
      points: LISTED.map((images) => {
        const figures = figuresOf(measured, `ListImages of ${images}`, 1, way)
        return [images, median(figures.map(({ p50Ms }) => p50Ms))] as const
      }),
    })),
  }
}
