import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CandidateTrace } from '../../../src/resolver/candidate-trace.ts'
import { candidate } from '../../support/resolver.ts'

const EXCHANGE = { method: 'HEAD', url: 'https://m1/', ms: 1 } as const

test('it starts when it is let in, where it had to stand in line before the first request', () => {
  const trace = new CandidateTrace(candidate('m1'))
  trace.begin(100)

  trace.wait(110)
  trace.enter(500)

  assert.equal(trace.startedAt, 500)
  assert.equal(trace.spentMs(530), 30)
})

test('later waiting is taken from its time', () => {
  const trace = new CandidateTrace(candidate('m1'))
  trace.begin(100)
  trace.exchanges.push(EXCHANGE)

  trace.wait(110)
  const meanwhile = trace.spentMs(400)
  trace.enter(500)

  assert.equal(trace.startedAt, 100)
  assert.equal(meanwhile, 10)
  assert.equal(trace.spentMs(530), 40)
})

test('it is unasked as long as it stands in line without a request before', () => {
  const trace = new CandidateTrace(candidate('m1'))
  trace.begin(100)
  const before = trace.unaskedMs(100)
  trace.wait(110)
  const inLine = trace.unaskedMs(400)
  trace.exchanges.push(EXCHANGE)

  assert.deepEqual([before, inLine, trace.unaskedMs(400)], [undefined, 290, undefined])
})

test('one that was skipped was not asked, and begins anew when it is', () => {
  const trace = new CandidateTrace(candidate('m1'))
  trace.begin(100)
  trace.skip('not asked: why')

  assert.equal(trace.startedAt, undefined)
  assert.equal(trace.spentMs(200), 0)
  assert.equal(trace.attempt?.outcome, 'skipped')
  trace.begin(300)
  assert.equal(trace.attempt, undefined)
  assert.equal(trace.spentMs(310), 10)
})
