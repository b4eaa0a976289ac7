import { setMaxListeners } from 'node:events'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type EventData, run } from 'node:test'
import { type Result, tableOf } from './table.ts'

// `npm run test:cri`: the behaviours that a kubelet relies on, numbered, with their result on each
// runtime that is there. Exit code 1 when one does not hold, or has no test.

/** One file with all its tests. Far above the slowest: only what hangs gets there. */
const FILE_LIMIT_MS = 300_000

const files = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join(import.meta.dirname, name))
const results: Result[] = []
const errors: string[] = []
const ending = new AbortController()
// One for each file.
setMaxListeners(0, ending.signal)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())

const stream = run({
  files,
  concurrency: Math.min(2, availableParallelism()),
  timeout: FILE_LIMIT_MS,
  signal: ending.signal,
})
stream.on('test:pass', ({ details, name, skip }: EventData.TestPass) => {
  if (details.type === 'suite') return
  const isSkipped = skip !== undefined && skip !== false
  results.push({ name, result: isSkipped ? 'skipped' : 'passed' })
})
stream.on('test:fail', ({ details, name }: EventData.TestFail) => {
  results.push({ name, result: 'failed' })
  errors.push(`${name}\n${String(details.error.cause ?? details.error)}`)
})
for await (const _ of stream) {
  // Read to its end, so that all has been told.
}
const { lines, problems } = tableOf(results)
for (const error of errors) process.stdout.write(`${error}\n\n`)
process.stdout.write(`${lines.join('\n')}\n\n`)
for (const problem of problems) process.stdout.write(`${problem}\n`)
const seconds = Math.round(performance.now() / 1000)
process.stdout.write(`${results.length} tests in ${seconds} s, ${problems.length} problems\n`)
process.exitCode = problems.length === 0 && !ending.signal.aborted ? 0 : 1
