import { fileURLToPath } from 'node:url'
import { startProgram } from '../test/support/program.ts'
import { cleanly } from './cleanly.ts'
import { HTTP_LOAD, type LoadResult } from './processes/http-load.ts'
import { TYPESCRIPT } from './typescript.ts'

const AUTOCANNON = fileURLToPath(import.meta.resolve('autocannon'))
const START_MS = 20_000
/** Nothing that is counted instead of clocked takes longer. */
const COUNTED_SECONDS = 60

export interface HttpLoad {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** Is posted. */
  readonly body?: string
}

export interface LoadInTurns {
  /** Each has its turn, and then again. */
  readonly urls: readonly string[]
  /** To each of them. */
  readonly connections: number
  /** Of one turn. */
  readonly seconds: number
  readonly turns: number
}

/** From a process of its own. */
export async function loadHttp({ body, url, ...load }: HttpLoad): Promise<LoadResult> {
  const environment = body === undefined ? {} : { BODY: body }
  const [[result] = []] = await loadTurns({ ...load, urls: [url], turns: 1 }, environment)
  if (result === undefined) throw new Error(`${url}: nothing was measured`)
  return result
}

/**
 * From one process, so that turns can be short: a machine that is busy with something else is so for all.
 *
 * @returns for each URL its turns
 */
export async function loadTurns(
  { connections, seconds, turns, urls }: LoadInTurns,
  environment: Readonly<Record<string, string>> = {},
): Promise<readonly (readonly LoadResult[])[]> {
  const args = [HTTP_LOAD, ...[connections, seconds, turns].map(String), ...urls]
  const limitSeconds = seconds * turns * urls.length
  const output = await printed([...TYPESCRIPT, ...args], limitSeconds, environment)
  return JSON.parse(output) as LoadResult[][]
}

/** The same with autocannon, which clocks in whole milliseconds. */
export async function loadWithAutocannon(load: HttpLoad): Promise<LoadResult> {
  const { connections, seconds, url } = load
  const limits = ['-c', String(connections), '-d', String(seconds)]
  const output = await printed([AUTOCANNON, '--json', '--no-progress', ...limits, url], seconds)
  const { errors, latency, non2xx, requests } = JSON.parse(output) as AutocannonResult
  if (errors + non2xx > 0) throw new Error(`${url}: ${errors} errors, ${non2xx} refusals`)
  const { average: perSecond, total: answers } = requests
  return { answers, perSecond, p50Ms: latency.p50, p99Ms: latency.p99 }
}

interface AutocannonResult {
  readonly errors: number
  readonly non2xx: number
  readonly latency: { readonly p50: number; readonly p99: number }
  readonly requests: { readonly average: number; readonly total: number }
}

export interface ResolvesLoad {
  /** A number is added to it. */
  readonly url: string
  /** Asked for in turn. */
  readonly images: number
  readonly connections: number
  readonly calls: number
}

/** So many requests, each for the next of many images. */
export async function loadResolves(load: ResolvesLoad): Promise<void> {
  const { calls, connections, images, url } = load
  const args = [...TYPESCRIPT, HTTP_LOAD, String(connections), '0', '1', url]
  await printed(args, COUNTED_SECONDS, { CALLS: String(calls), IMAGES: String(images) })
}

/** The line of JSON that a program prints. */
function printed(
  args: readonly string[],
  seconds: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  return cleanly(async (cleanup) => {
    const program = startProgram(process.execPath, args, environment)
    cleanup.after(() => program.kill())
    const [line] = await program.line(/^[[{].*[\]}]$/m, START_MS + seconds * 1000)
    return line
  })
}
