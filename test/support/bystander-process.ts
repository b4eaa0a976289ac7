import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GrpcClient } from './grpc-client.ts'

// `bystander-process.ts SOCKET`: calls that the service answers by itself, one after the other, from
// a process that nothing else keeps busy. Says after each how it went so far.

export const BYSTANDER = fileURLToPath(import.meta.url)

const REMOVE = '/runtime.v1.ImageService/RemoveImage'
const INVALID_ARGUMENT = 3
const PAUSE_MS = 5

export interface BystanderReport {
  readonly calls: number
  readonly wrong: number
  readonly longestMs: number
}

if (process.argv[1] === BYSTANDER) {
  const client = new GrpcClient(process.argv[2] ?? '')
  let calls = 0
  let wrong = 0
  let longestMs = 0
  for (;;) {
    const startedAt = performance.now()
    const { code } = await client.call(REMOVE, [Buffer.alloc(0)])
    longestMs = Math.max(longestMs, performance.now() - startedAt)
    calls += 1
    if (code !== INVALID_ARGUMENT) wrong += 1
    const report: BystanderReport = { calls, wrong, longestMs }
    process.stdout.write(`${JSON.stringify(report)}\n`)
    await sleep(PAUSE_MS)
  }
}
