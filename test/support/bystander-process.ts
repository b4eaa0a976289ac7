import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GrpcClient } from './grpc-client.ts'
import { queuedMs } from './process-state.ts'

// `bystander-process.ts SOCKET PID`: calls that the service, the process of that ID, answers by itself, one after the
// other, from a process that nothing else keeps busy. Says after each how it went so far.

export const BYSTANDER = fileURLToPath(import.meta.url)

const REMOVE = '/runtime.v1.ImageService/RemoveImage'
const INVALID_ARGUMENT = 3
const PAUSE_MS = 5

export interface BystanderReport {
  readonly calls: number
  readonly wrong: number
  /** Without the time for which the service or the client itself was ready to run, and others had the processors. */
  readonly longestMs: number
}

if (process.argv[1] === BYSTANDER) {
  const client = new GrpcClient(process.argv[2] ?? '')
  const pids = [process.pid, Number(process.argv[3])]
  let calls = 0
  let wrong = 0
  let longestMs = 0
  for (;;) {
    const startedAt = performance.now()
    const before = pids.map(queuedMs)
    const { code } = await client.call(REMOVE, [Buffer.alloc(0)])
    const queued = pids.map((pid, index) => queuedMs(pid) - (before[index] ?? 0))
    longestMs = Math.max(longestMs, performance.now() - startedAt - Math.max(...queued))
    calls += 1
    if (code !== INVALID_ARGUMENT) wrong += 1
    const report: BystanderReport = { calls, wrong, longestMs }
    process.stdout.write(`${JSON.stringify(report)}\n`)
    await sleep(PAUSE_MS)
  }
}
