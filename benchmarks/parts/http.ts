import { FLAGS, startDaemon } from '../../test/support/daemon.ts'
import { startProgram } from '../../test/support/program.ts'
import type { Cleanup } from '../../test/support/stack.ts'
import { cleanly } from '../cleanly.ts'
import { type LoadInTurns, loadHttp, loadTurns, loadWithAutocannon } from '../http-load.ts'
import { cpuSeconds } from '../machine.ts'
import type { LoadResult } from '../processes/http-load.ts'
import { SAME_BODY } from '../processes/same-body.ts'
import { type Registries, startRegistries } from '../registries.ts'
import type { Findings, Settings, Table } from '../report.ts'
import { configuration } from '../resolving.ts'
import { median, spread } from '../statistics.ts'
import { inTurns } from '../turns.ts'
import { TYPESCRIPT } from '../typescript.ts'

const CONNECTIONS = [1, 32, 256]
/** Of the budget. */
const TYPICAL_CONNECTIONS = 32
const ROUNDS = 3
/** For all of one shape, in one round. */
const TURNS = 12
const TURN_SECONDS = 0.1
const SECONDS = 1
const IMAGES_AT_ONCE = 100

const SIDES = ['bare node:http', 'Fastify, same answer', 'image-resolver'] as const
type Side = (typeof SIDES)[number]

/** What is loaded, and how: one line of the table for each side. */
interface Shape {
  readonly name: string
  readonly connections: number
  /** For each URL its turns. */
  readonly load: (load: LoadInTurns) => Promise<readonly (readonly LoadResult[])[]>
}

const SHAPES: readonly Shape[] = [
  ...CONNECTIONS.map((connections) => ({ name: `${connections}`, connections, load: loadTurns })),
  {
    name: `${TYPICAL_CONNECTIONS}, autocannon`,
    connections: TYPICAL_CONNECTIONS,
    load: loadOneByOne,
  },
]

/** What all rounds gave for one side. */
interface Loaded {
  readonly turns: LoadResult[]
  /** Processor time of the server for one request, by round, in microseconds. */
  readonly cpuUs: number[]
}

interface Server {
  readonly url: string
  readonly pid: number
}

type Rounds = ReadonlyMap<Shape, Readonly<Record<Side, Loaded>>>

/** GET /resolve from the cache beside servers that only send the same answer; POST of a hundred. */
export function measureHttp(settings: Settings): Promise<Findings> {
  return cleanly(async (cleanup) => {
    const { quick } = settings
    const registries = await startRegistries(cleanup)
    const rounds: Rounds = new Map(SHAPES.map((shape) => [shape, nothingYet()]))
    const turns = quick ? 3 : TURNS
    const many = await measureMany(registries, settings)
    for (const round of settings.rounds(ROUNDS)) {
      await oneRound(registries, round, turns, rounds)
    }
    return {
      tables: [getTable(rounds), ...(many === undefined ? [] : [many])],
      budgets: [
        {
          what: `GET /resolve, cached, of a Fastify route with the same answer, ${TYPICAL_CONNECTIONS} connections`,
          unit: 'ratio',
          budget: 0.95,
          bound: 'at least',
          measured: median(ratios(rounds, typicalShape(), 'image-resolver')),
        },
      ],
      slower: slower(rounds),
      missing: many === undefined ? ['POST /resolve: this build has no such route'] : [],
    }
  })
}

function nothingYet(): Record<Side, Loaded> {
  const nothing = (): Loaded => ({ turns: [], cpuUs: [] })
  return {
    'bare node:http': nothing(),
    'Fastify, same answer': nothing(),
    'image-resolver': nothing(),
  }
}

/** All servers anew, and every shape for each of them. */
async function oneRound(
  registries: Registries,
  round: number,
  turns: number,
  rounds: Rounds,
): Promise<void> {
  await cleanly(async (cleanup) => {
    const servers = await startSides(cleanup, registries)
    const order = round % 2 === 0 ? SIDES : [...SIDES].reverse()
    const urls = order.map((side) => servers[side].url)
    const warming = { urls, connections: TYPICAL_CONNECTIONS, seconds: SECONDS, turns: 1 }
    await loadTurns(warming)
    for (const [{ connections, load }, loaded] of rounds) {
      const before = order.map((side) => cpuSeconds(servers[side].pid))
      const results = await load({ urls, connections, seconds: TURN_SECONDS, turns })
      for (const [at, side] of order.entries()) {
        const seconds = cpuSeconds(servers[side].pid) - (before[at] ?? Number.NaN)
        const ofSide = results[at] ?? []
        const answers = ofSide.reduce((sum, turn) => sum + turn.answers, 0)
        loaded[side].turns.push(...ofSide)
        loaded[side].cpuUs.push((seconds * 1e6) / answers)
      }
    }
  })
}

/** A turn of autocannon takes whole seconds, so that each has but one. */
async function loadOneByOne({ connections, urls }: LoadInTurns): Promise<LoadResult[][]> {
  const results: LoadResult[][] = []
  for (const url of urls) {
    results.push([await loadWithAutocannon({ url, connections, seconds: SECONDS })])
  }
  return results
}

async function startSides(
  cleanup: Cleanup,
  registries: Registries,
): Promise<Readonly<Record<Side, Server>>> {
  const query = '/resolve?ref=nginx:latest&platform=linux/amd64'
  const daemon = await startDaemon(cleanup, { config: configuration([registries.way(0).healthy]) })
  const own = `${daemon.httpUrl()}${query}`
  const { body, headers } = await cachedAnswer(own)
  const start = async (kind: string): Promise<Server> => {
    // With the same bound of the young heap, which costs a server that does nothing else some percent.
    const args = [...FLAGS, ...TYPESCRIPT, SAME_BODY, kind]
    const server = startProgram(process.execPath, args, {
      BODY: body,
      HEADERS: JSON.stringify(headers),
    })
    cleanup.after(() => server.stop())
    const [, url = ''] = await server.line(/"address":"([^"]+)"/)
    return { url: `${url}${query}`, pid: server.pid }
  }
  return {
    'bare node:http': await start('bare'),
    'Fastify, same answer': await start('fastify'),
    'image-resolver': { url: own, pid: daemon.program().pid },
  }
}

interface CachedAnswer {
  readonly body: string
  /** Without those that the server itself adds. */
  readonly headers: Readonly<Record<string, string>>
}

async function cachedAnswer(url: string): Promise<CachedAnswer> {
  const first = await fetch(url)
  await first.text()
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } })
  const body = await response.text()
  if (!first.ok || !body.includes('"source":"cache"')) throw new Error(`not cached: ${body}`)
  const headers = Object.fromEntries(response.headers)
  for (const name of ['connection', 'content-length', 'date', 'keep-alive']) delete headers[name]
  return { body, headers }
}

function getTable(rounds: Rounds): Table {
  const rows = [...rounds].flatMap(([shape, sides]) =>
    SIDES.map((side) => {
      const { cpuUs, turns } = sides[side]
      return [
        shape.name,
        side,
        spread(turns.map(({ perSecond }) => perSecond)),
        spread(ratios(rounds, shape, side)),
        spread(cpuUs),
        spread(turns.map(({ p99Ms }) => p99Ms)),
      ]
    }),
  )
  return {
    title: 'GET /resolve from the cache',
    columns: ['connections', 'server', 'requests/s', 'of Fastify', 'CPU a request, µs', 'p99, ms'],
    rows,
    note: 'Keep-alive, no pipelining, from bare sockets: a client that costs more than the server makes all servers look alike. autocannon, for who wants to compare, is such a client, and clocks whole milliseconds.',
  }
}

function typicalShape(): Shape {
  const name = String(TYPICAL_CONNECTIONS)
  const shape = SHAPES.find((each) => each.name === name)
  if (shape === undefined) throw new Error(`nothing is measured with ${name} connections`)
  return shape
}

/** Of the requests a second of the Fastify route in the same turn. */
function ratios(rounds: Rounds, shape: Shape, side: Side): readonly number[] {
  const sides = rounds.get(shape) ?? nothingYet()
  const framework = sides['Fastify, same answer'].turns
  return sides[side].turns.map(
    ({ perSecond }, at) => perSecond / (framework[at]?.perSecond ?? Number.NaN),
  )
}

function slower(rounds: Rounds): readonly string[] {
  const fewer = SHAPES.map(
    (shape) => [shape, median(ratios(rounds, shape, 'image-resolver'))] as const,
  )
    .filter(([, ratio]) => ratio < 1)
    .map(([{ name }, ratio]) => `${ratio.toFixed(2)} (connections: ${name})`)
  if (fewer.length === 0) return []
  return [
    `GET /resolve from the cache answers fewer requests per second than a Fastify route that sends the same answer: ${fewer.join(', ')} of them.`,
  ]
}

/** A hundred references in one request, beside a hundred requests. */
function measureMany(registries: Registries, settings: Settings): Promise<Table | undefined> {
  return cleanly(async (cleanup) => {
    const config = configuration([registries.way(0).healthy])
    const daemon = await startDaemon(cleanup, { config })
    const url = `${daemon.httpUrl()}/resolve`
    const references = Array.from({ length: IMAGES_AT_ONCE }, (_, index) => `team/app-${index}:1`)
    const body = JSON.stringify({ references })
    const headers = { 'content-type': 'application/json' }
    const learned = await fetch(url, { method: 'POST', headers, body })
    const text = await learned.text()
    if (learned.status === 404 || learned.status === 405) return undefined
    if (!learned.ok || text.includes('"error":')) throw new Error(`POST /resolve: ${text}`)
    const seconds = settings.quick ? 0.5 : SECONDS
    const one = { connections: 1, seconds }
    const sides = ['one POST', 'as many GETs'] as const
    const rounds = await inTurns(sides, settings.rounds(ROUNDS), (side) =>
      side === 'one POST'
        ? loadHttp({ ...one, url, body })
        : loadHttp({ ...one, url: `${url}?ref=team/app-0:1` }),
    )
    const perSecond = (side: (typeof sides)[number]): readonly number[] => {
      const images = side === 'one POST' ? IMAGES_AT_ONCE : 1
      return (rounds.get(side) ?? []).map((result) => result.perSecond * images)
    }
    return {
      title: `POST /resolve of ${IMAGES_AT_ONCE} images, all cached, one connection`,
      columns: ['how', 'images/s', 'p99 of a request, ms'],
      rows: sides.map((side) => [
        side,
        spread(perSecond(side)),
        spread((rounds.get(side) ?? []).map(({ p99Ms }) => p99Ms)),
      ]),
    }
  })
}
