import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CandidateTrace } from '../../../src/resolver/trace.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { candidate, FakeHealth } from '../../support/resolver.ts'

const EXCHANGE = { method: 'HEAD', url: 'https://m1/', ms: 1 } as const

/** A trace that began 100 ms after the resolution. */
async function begun() {
  const clock = new FakeClock()
  const trace = new CandidateTrace(candidate('m1'), 0, new FakeHealth(), clock, clock.now())
  await clock.advance(100)
  trace.begin()
  return { clock, trace }
}

test('it starts when it is admitted, where it had to wait before the first request', async () => {
  const { clock, trace } = await begun()

  trace.enqueue()
  await clock.advance(400)
  trace.admitted()
  await clock.advance(30)

  assert.equal(trace.startedMs, 500)
  assert.equal(trace.spentMs, 30)
})

test('a later wait is subtracted from its time', async () => {
  const { clock, trace } = await begun()
  trace.exchanges.push(EXCHANGE)

  await clock.advance(10)
  trace.enqueue()
  await clock.advance(390)
  const meanwhile = trace.spentMs
  trace.admitted()
  await clock.advance(30)

  assert.equal(trace.startedMs, 100)
  assert.equal(meanwhile, 10)
  assert.equal(trace.spentMs, 40)
})

test('it is unasked as long as it waits without a request before', async () => {
  const { clock, trace } = await begun()
  const before = trace.unasked
  trace.enqueue()
  await clock.advance(300)
  const queued = trace.unasked
  trace.exchanges.push(EXCHANGE)

  assert.deepEqual([before, queued, trace.unasked], [undefined, 'waited 0.3 s in line', undefined])
})

test('one that was passed over was not asked, and begins anew when it is', async () => {
  const { clock, trace } = await begun()
  trace.passOver()
  await clock.advance(100)

  assert.equal(trace.startedMs, undefined)
  assert.equal(trace.spentMs, 0)
  assert.equal(trace.attempt?.outcome, 'skipped')
  trace.begin()
  assert.equal(trace.attempt, undefined)
  await clock.advance(10)
  assert.equal(trace.spentMs, 10)
})
