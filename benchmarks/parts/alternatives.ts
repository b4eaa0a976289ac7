import { writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dump } from 'js-yaml'
import { startDaemon } from '../../test/support/daemon.ts'
import { runProgram } from '../../test/support/program.ts'
import { type Cleanup, temporaryFolder } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { nodeVersions, type Runtime } from '../node-versions.ts'
import { type Registries, startRegistries } from '../registries.ts'
import type { Findings, Measurement, Settings, Table } from '../report.ts'
import { configuration, refusingHost, startResolving } from '../resolving.ts'
import { median, sample, sampleCells, spread, typicalMs } from '../statistics.ts'
import { inTurns } from '../turns.ts'

const ROUNDS = 3
const CALLS = 4
const ROUND_TRIP_MS = 5
const SKOPEO = '`skopeo inspect`'
const LAUNCHER = fileURLToPath(new URL('../../bin/image-resolver', import.meta.url))
/** As long as ours waits for one registry, so that what differs is the walk. */
const TIME_OUT_MS = 2_000

/** The same work, done with what people use for it. */
export function measureAlternatives(settings: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    const registries = await startRegistries(cleanup, [ROUND_TRIP_MS])
    const calls = settings.quick ? 2 : CALLS
    const resolvers = await measurePrograms(cleanup, registries, settings, calls)
    const walks = await measureWalks(registries, settings, calls)
    return {
      tables: [resolvers.table, walks.table],
      budgets: resolvers.budgets,
      slower: [...resolvers.slower, ...walks.slower],
      missing: resolvers.missing,
    }
  })
}

/** One image, asked for by programs and by requests: what a script on a node would do. */
async function measurePrograms(
  cleanup: Cleanup,
  registries: Registries,
  settings: Settings,
  calls: number,
): Promise<{
  readonly table: Table
  readonly budgets: readonly Measurement[]
  readonly slower: readonly string[]
  readonly missing: readonly string[]
}> {
  const { healthy } = registries.way(ROUND_TRIP_MS)
  const config = configuration([healthy])
  const file = `${temporaryFolder(cleanup)}/image-resolver.yaml`
  const cache = temporaryFolder(cleanup)
  writeFileSync(file, dump(config))
  const daemon = await startDaemon(cleanup, { config })
  const { runtimes, missing } = await nodeVersions()
  const skopeo = ['inspect', '--no-tags', '--tls-verify=false']
  const ways: readonly Way[] = [
    [SKOPEO, (image) => runProgram('skopeo', [...skopeo, `docker://${healthy}/${image}`])],
    ...runtimes.map(
      (runtime): Way => [
        ourProgram(runtime),
        (image) => {
          const environment = { ...UNDER_NODE, PATH: pathOf(runtime), CACHE_DIRECTORY: cache }
          return runProgram(LAUNCHER, ['resolve', image, '--config', file], environment)
        },
      ],
    ),
    [
      'GET /resolve of a running service',
      (image) => asked(`${daemon.httpUrl()}/resolve?ref=${image}`),
    ],
  ]
  const nodes = runtimes.map(
    (runtime): Way => [bareNode(runtime), () => runProgram(runtime.path, ['-e', '0'], UNDER_NODE)],
  )
  const hasSkopeo = await runProgram('skopeo', ['--version']).then(
    () => true,
    () => false,
  )
  const taken = await inTurns(
    [...(hasSkopeo ? ways : ways.slice(1)), ...nodes],
    settings.rounds(ROUNDS),
    ([name, run], round) =>
      sample({
        calls,
        warmUp: 1,
        requests: registries.requests,
        call: (index) => run(`multi/${name.replaceAll(/\W/g, '').toLowerCase()}:${round}-${index}`),
      }),
  )
  const compared = hasSkopeo ? runtimes : []
  const msOf = (name: string): number =>
    typicalMs([...taken].find(([way]) => way[0] === name)?.[1] ?? [])
  return {
    table: {
      title: `One cold image of two platforms, round trip ${ROUND_TRIP_MS} ms`,
      columns: ['how', 'p50, ms', 'p99, ms', 'requests'],
      rows: [...taken].map(([[name], samples]) => [name, ...sampleCells(samples, 1)]),
      note: 'A program has its start in it, and with skopeo the image config that it prints more of. Ours is what packages install and root runs: Node 24 keeps compiled code.',
    },
    budgets: compared.map(
      (runtime): Measurement => ({
        what: `one image, ${ourProgram(runtime)}`,
        unit: `x ${SKOPEO}, p50`,
        budget: 2,
        bound: 'at most',
        measured: msOf(ourProgram(runtime)) / msOf(SKOPEO),
      }),
    ),
    slower: compared.map(
      (runtime) =>
        `One image from the command line with Node ${runtime.major}: ${msOf(ourProgram(runtime)).toFixed(0)} ms, against ${msOf(SKOPEO).toFixed(0)} ms of \`skopeo inspect\`. Node itself, with nothing to run, takes ${msOf(bareNode(runtime)).toFixed(0)} ms.`,
    ),
    missing: [...missing, ...(hasSkopeo ? [] : ['skopeo: it is not installed'])],
  }
}

/** Node 20 reads it at each start, also where nothing is asked for by https: 30 ms, by a setting of the machine. */
const UNDER_NODE = { NODE_EXTRA_CA_CERTS: undefined }

function pathOf({ path }: Runtime): string {
  return `${dirname(path)}:${process.env['PATH']}`
}

function ourProgram({ major }: Runtime): string {
  return `\`image-resolver resolve\`, Node ${major}`
}

function bareNode({ major }: Runtime): string {
  return `\`node -e 0\`, Node ${major}`
}

type Way = readonly [name: string, run: (image: string) => Promise<unknown>]

async function asked(url: string): Promise<void> {
  const response = await fetch(url)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${text}`)
}

interface SerialRun {
  readonly firstMs: number
  readonly laterMs: number
  readonly requests: number
}

const TROUBLES = ['healthy', '404', 'refusing', 'answers nothing'] as const
const WALKERS = ['serial walk', 'image-resolver'] as const

/** Three registries in order, the first in trouble, as a serial walk takes it and as we do. */
async function measureWalks(
  registries: Registries,
  settings: Settings,
  calls: number,
): Promise<{ readonly table: Table; readonly slower: readonly string[] }> {
  const { blackHole, empty, healthy, second, third } = registries.way(ROUND_TRIP_MS)
  const refusing = await refusingHost()
  const first = { healthy, 404: empty, refusing, 'answers nothing': blackHole }
  const sides = TROUBLES.flatMap((trouble) => WALKERS.map((runner) => ({ trouble, runner })))
  const taken = await inTurns(sides, settings.rounds(ROUNDS), ({ trouble, runner }, round) =>
    cleanly(async (cleanup): Promise<SerialRun> => {
      const hosts = [first[trouble], second, third]
      const resolve =
        runner === 'serial walk'
          ? (image: string) => serialWalk(hosts, image, TIME_OUT_MS)
          : startResolving(cleanup, { hosts })
      const mark = `${WALKERS.indexOf(runner)}-${TROUBLES.indexOf(trouble)}-${round}`
      const { ms, requests } = await sample({
        calls,
        requests: registries.requests,
        call: (index) => resolve(`multi/walk:${mark}-${index}`),
      })
      const [firstMs = Number.NaN, ...later] = ms
      return { firstMs, laterMs: median(later), requests }
    }),
  )
  const of = (trouble: string, runner: string): readonly SerialRun[] =>
    [...taken].find(([side]) => side.trouble === trouble && side.runner === runner)?.[1] ?? []
  const laterMs = (trouble: string, runner: string): number =>
    median(of(trouble, runner).map((walk) => walk.laterMs))
  return {
    table: {
      title: `Three registries, round trip ${ROUND_TRIP_MS} ms, a serial walk with ${TIME_OUT_MS} ms for each`,
      columns: ['the first', 'who', 'first call, ms', 'later calls, p50, ms', 'requests per call'],
      rows: sides.map(({ trouble, runner }) => {
        const walks = of(trouble, runner)
        return [
          trouble,
          runner,
          spread(walks.map((walk) => walk.firstMs)),
          spread(walks.map((walk) => walk.laterMs)),
          spread(walks.map((walk) => walk.requests)),
        ]
      }),
      note: "The serial walk is written for this: GET by tag at one registry after the other, then the platform's manifest, nothing remembered.",
    },
    slower: TROUBLES.flatMap((trouble) => {
      const [own, serial] = [laterMs(trouble, 'image-resolver'), laterMs(trouble, 'serial walk')]
      if (own <= serial) return []
      return `One cold image at three registries, the first of them: ${trouble}: ${own.toFixed(1)} ms, against ${serial.toFixed(1)} ms of a walk that checks and remembers nothing (round trip ${ROUND_TRIP_MS} ms).`
    }),
  }
}

const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

interface Manifest {
  readonly config?: { readonly digest: string }
  readonly manifests?: readonly {
    readonly digest: string
    readonly platform?: { readonly architecture: string }
  }[]
}

/**
 * The baseline: one registry after the other, each with the same time, and nothing learned from the
 * last time. No hashes are checked.
 *
 * @param image `repository:tag`
 * @returns the image ID for linux/amd64
 */
async function serialWalk(
  hosts: readonly string[],
  image: string,
  timeOutMs: number,
): Promise<string> {
  const [repository = '', tag = ''] = image.split(':')
  for (const host of hosts) {
    const ask = async (reference: string): Promise<Manifest> => {
      const url = `http://${host}/v2/${repository}/manifests/${reference}`
      const signal = AbortSignal.timeout(timeOutMs)
      const response = await fetch(url, { headers: { accept: ACCEPT }, signal })
      if (!response.ok) throw new Error(`${url}: ${response.status}`)
      return (await response.json()) as Manifest
    }
    try {
      const top = await ask(tag)
      const child = top.manifests?.find(({ platform }) => platform?.architecture === 'amd64')
      const { config } = child === undefined ? top : await ask(child.digest)
      if (config !== undefined) return config.digest
    } catch {
      // The next one may have it.
    }
  }
  throw new Error(`${image} is nowhere`)
}
