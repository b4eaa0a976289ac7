import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { RegistryQueue } from '../../../src/registry/client.ts'

const NEVER = new AbortController().signal
const endpoint = { scheme: 'https', host: 'hub.corp', prefix: '' } as const

/** Takes the only place until it is told to leave. */
function occupied(queue: RegistryQueue) {
  let leave = () => {}
  const gone = new Promise<void>((resolve) => {
    leave = resolve
  })
  const left = queue.enter({ endpoint, signal: NEVER }, () => gone)
  return { leave, left }
}

test('the time of a request begins when it is admitted', async () => {
  const queue = new RegistryQueue({ maxConcurrent: 1, timeoutMs: 5 })
  const { leave, left } = occupied(queue)
  const ended = queue.run({ endpoint, signal: NEVER }, async () => 7)
  await new Promise((resolve) => setTimeout(resolve, 10))

  leave()
  await left

  assert.equal(await ended, 7)
})

test('a request that takes longer than its limit is ended', async () => {
  const queue = new RegistryQueue({ maxConcurrent: 1, timeoutMs: 1 })
  const asked = queue.run(
    { endpoint, signal: NEVER },
    ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  )

  await assert.rejects(asked, { code: 'DEADLINE_EXCEEDED', message: 'no answer within 1 ms' })
})

test('the error of a caller that leaves the queue has how long it waited', async () => {
  const queue = new RegistryQueue({ maxConcurrent: 1, timeoutMs: 60_000 })
  const { leave, left } = occupied(queue)
  const caller = new AbortController()
  const waiting = queue.enter({ endpoint, signal: caller.signal }, () => assert.fail('it began'))

  caller.abort(new ResolveError('DEADLINE_EXCEEDED', 'out of time'))

  await assert.rejects(waiting, {
    code: 'DEADLINE_EXCEEDED',
    step: 'connect',
    message:
      /^hub\.corp: out of time after \d+\.\d s in line, since 1 question at once is what it is asked$/,
  })
  leave()
  await left
})

test('what goes wrong within a request comes out as it was thrown', async () => {
  const queue = new RegistryQueue({ maxConcurrent: 1, timeoutMs: 60_000 })
  const broken = new ResolveError('UNAVAILABLE', 'broken')

  const asked = queue.run({ endpoint, signal: NEVER }, () => Promise.reject(broken))

  await assert.rejects(asked, (error) => error === broken)
})
