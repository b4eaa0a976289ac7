import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GrpcClient } from '../support/grpc-client.ts'
import { queuedMs } from '../support/process-state.ts'
import type { GoodClient } from './attack.ts'

// `good-client.ts GOOD PID…`, the client as JSON: says of each call when it began and how long it took, and
// how long it waited since one of these processes, or this one, had no processor.

export const GOOD_CLIENT = fileURLToPath(import.meta.url)

const PAUSE_MS = 5
const LONGEST_MS = 20_000

export interface GoodCall {
  /** As performance.timeOrigin + performance.now(), to be compared between processes. */
  readonly startedAt: number
  readonly ms: number
  /** Of it: the longest that one of the processes on its way was ready to run, and others had the processors. */
  readonly queuedMs: number
  /** What went wrong. */
  readonly wrong?: string
}

if (process.argv[1] === GOOD_CLIENT) {
  const call = callOf(JSON.parse(process.argv[2] ?? ''))
  const pids = [process.pid, ...process.argv.slice(3).map(Number)]
  for (;;) {
    const startedAt = performance.timeOrigin + performance.now()
    const before = pids.map(queuedMs)
    const wrong = await call().catch(String)
    const ms = performance.timeOrigin + performance.now() - startedAt
    const queued = Math.max(...pids.map((pid, index) => queuedMs(pid) - (before[index] ?? 0)))
    const report: GoodCall = {
      startedAt,
      ms,
      queuedMs: Math.min(queued, ms),
      ...(wrong !== undefined && { wrong }),
    }
    process.stdout.write(`${JSON.stringify(report)}\n`)
    await sleep(PAUSE_MS)
  }
}

function callOf(good: GoodClient): () => Promise<string | undefined> {
  if (good.kind === 'http') return () => getOnce(good.url, good.from)
  const client = new GrpcClient(good.socketPath)
  const path = good.call ?? '/runtime.v1.RuntimeService/Version'
  return async () => {
    const { code } = await client.call(path)
    return code === 0 ? undefined : `gRPC status ${code}`
  }
}

function getOnce(url: string, localAddress = '127.0.0.1'): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = { agent: false, localAddress, timeout: LONGEST_MS } as const
    const request: ClientRequest = get(url, options, (response: IncomingMessage) => {
      response.on('error', reject)
      response.on('end', () => {
        resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`)
      })
      response.resume()
    })
    request.on('timeout', () => request.destroy(new Error(`no answer in ${LONGEST_MS} ms`)))
    request.on('error', reject)
  })
}
