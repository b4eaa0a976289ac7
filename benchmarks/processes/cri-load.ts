import { fileURLToPath } from 'node:url'
import { GrpcClient } from '../../test/support/grpc-client.ts'
import type { CriCall } from '../cri/calls.ts'
import { percentile } from '../statistics.ts'

// Calls a runtime over and over: `cri-load.ts` with a CriLoad in LOAD. Each call is made over all the
// ways in turn, on one connection for each way, as kubelet has it. Prints one line of JSON, a list of
// CriFigures.

export const CRI_LOAD = fileURLToPath(import.meta.url)

export interface CriLoad {
  readonly ways: readonly CriWay[]
  /** The ways take their turns from the last one to the first. */
  readonly backwards?: boolean
  /** Comes before all else, over one way after the other, always from the first to the last. */
  readonly warmUp?: WarmUp
  readonly calls: readonly CriCall[]
  /** For each call and way; at least one call is made by each caller. */
  readonly ms: number
  /** Instead of a time: so many calls. */
  readonly count?: number
}

/** Programs that compile what they run often are slow when they have just been started. */
export interface WarmUp {
  readonly call: CriCall
  /** So many calls of each way are measured, one at a time. */
  readonly first: number
  /** So many follow, many at a time. The client has as many behind it before anything is measured. */
  readonly more: number
}

export interface CriWay {
  readonly name: string
  readonly socket: string
  /** As `:authority`, the way that clients before grpc-go 1.55 do. */
  readonly authority?: string
  /** Nothing but the image service is served there. */
  readonly imagesOnly?: true
}

export interface CriFigures {
  readonly call: string
  readonly callers: number
  readonly way: string
  readonly p50Ms: number
  readonly p99Ms: number
  readonly perSecond: number
}

/** The ways take so many turns each: the machine's moods are to reach all of them. */
const SLICES = 4
const WARM_CALLERS = 16

interface Client {
  readonly way: CriWay
  readonly client: GrpcClient
}

async function load(options: CriLoad): Promise<readonly CriFigures[]> {
  const { backwards = false, calls, count, ms, warmUp, ways } = options
  const clients = ways.map((way) => ({ way, client: new GrpcClient(way.socket) }))
  const figures = warmUp === undefined ? [] : await warm(clients, warmUp)
  if (backwards) clients.reverse()
  for (const call of calls) {
    const isServed = ({ way }: Client) => !way.imagesOnly || call.path.includes('.ImageService/')
    const sides = clients.filter(isServed).map(({ client, way }) => ({
      way,
      once: caller(client, call, way),
      took: [] as number[],
      seconds: 0,
    }))
    for (const { once } of sides) await callOver(once, call.callers, ms / SLICES, undefined)
    for (let slice = 0; slice < SLICES; slice += 1) {
      for (const side of sides) {
        const began = performance.now()
        const part = count === undefined ? undefined : count / SLICES
        for (const each of await callOver(side.once, call.callers, ms / SLICES, part)) {
          side.took.push(each)
        }
        side.seconds += (performance.now() - began) / 1000
      }
    }
    for (const { seconds, took, way } of sides) {
      figures.push(figuresOf(call, way, took, seconds))
    }
  }
  await Promise.all(clients.map(({ client }) => client.close()))
  return figures
}

async function warm(
  clients: readonly Client[],
  { call, first, more }: WarmUp,
): Promise<CriFigures[]> {
  const sides = clients.map(({ client, way }) => ({ way, once: caller(client, call, way) }))
  for (const { once } of sides.slice(0, 1)) await callOver(once, WARM_CALLERS, 0, more)
  const figures: CriFigures[] = []
  for (const { once, way } of sides) {
    const began = performance.now()
    const took = await callOver(once, call.callers, 0, first)
    figures.push(figuresOf(call, way, took, (performance.now() - began) / 1000))
    await callOver(once, WARM_CALLERS, 0, more)
  }
  return figures
}

function figuresOf(
  call: CriCall,
  way: CriWay,
  took: readonly number[],
  seconds: number,
): CriFigures {
  return {
    call: call.name,
    callers: call.callers,
    way: way.name,
    p50Ms: percentile(took, 0.5),
    p99Ms: percentile(took, 0.99),
    perSecond: took.length / seconds,
  }
}

function caller(client: GrpcClient, call: CriCall, { authority }: CriWay): () => Promise<void> {
  const metadata = {
    ...call.metadata,
    ...(authority === undefined ? {} : { ':authority': authority }),
  }
  const request = Buffer.from(call.request, 'base64')
  return async () => {
    const answer = await client.call(call.path, [request], metadata)
    if (answer.code !== 0) throw new Error(`${call.name}: ${answer.code} ${answer.message}`)
  }
}

async function callOver(
  once: () => Promise<void>,
  callers: number,
  ms: number,
  count: number | undefined,
): Promise<readonly number[]> {
  const took: number[] = []
  const ends = performance.now() + ms
  let left = count ?? Number.POSITIVE_INFINITY
  const oneCaller = async (): Promise<void> => {
    do {
      left -= 1
      const began = performance.now()
      await once()
      took.push(performance.now() - began)
    } while (count === undefined ? performance.now() < ends : left > 0)
  }
  await Promise.all(Array.from({ length: callers }, oneCaller))
  return took
}

if (process.argv[1] === CRI_LOAD) {
  const figures = await load(JSON.parse(process.env['LOAD'] ?? '') as CriLoad)
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}
