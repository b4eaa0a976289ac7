import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerText } from '../../../src/http/routes/resolve.ts'
import { anAnswer } from '../../support/http-app.ts'

test('nothing is told that the contract does not name', () => {
  const secret = { password: 'hunter2' }
  const { platform, references, attempts, candidates = [] } = anAnswer()
  const answer = {
    ...anAnswer(),
    ...secret,
    platform: { ...platform, ...secret },
    references: references.map((each) => ({ ...each, ...secret })),
    attempts: attempts.map((each) => ({ ...each, ...secret })),
    candidates: candidates.map(({ exchanges, ...each }) => ({
      ...each,
      ...secret,
      error: { code: 'DENIED' as const, message: 'no', ...secret },
      exchanges: exchanges.map((exchange) => ({ ...exchange, ...secret })),
    })),
    node: { present: true, imageId: 'x', ...secret },
  }

  const text = answerText(answer, true)

  assert.ok(text.includes('"attempts"'))
  assert.ok(text.includes('"node"'))
  assert.ok(text.includes('"exchanges"'))
  assert.ok(!text.includes('hunter2'))
})

test('an answer from the cache reads the same the second time', () => {
  const cached = anAnswer({ source: 'cache', attempts: [] })

  const first = answerText({ ...cached }, false)
  const second = answerText({ ...cached }, false)

  assert.equal(first, second)
  assert.equal(JSON.parse(second).source, 'cache')
})

test('the same image asked for in other words is told in these words', () => {
  const cached = anAnswer({ source: 'cache' })

  const first = answerText({ ...cached, requested: 'nginx' }, false)
  const second = answerText({ ...cached, requested: 'docker.io/nginx' }, false)

  assert.equal(JSON.parse(first).requested, 'nginx')
  assert.equal(JSON.parse(second).requested, 'docker.io/nginx')
})

test('what was written for the cache is not given out for another source or with extras', () => {
  const cached = anAnswer({ source: 'cache' })
  answerText(cached, false)

  const stale = JSON.parse(answerText({ ...cached, source: 'stale' }, false))
  const withNode = JSON.parse(answerText({ ...cached, node: { present: false } }, false))
  const explained = JSON.parse(answerText(cached, true))
  const everybody = JSON.parse(answerText(cached, false, true))
  const later = JSON.parse(answerText({ ...cached, resolvedAt: cached.resolvedAt + 1000 }, false))

  assert.equal(stale.source, 'stale')
  assert.deepEqual(withNode.node, { present: false })
  assert.equal(explained.attempts.length, 1)
  assert.equal(everybody.candidates.length, 1)
  assert.equal(everybody.attempts, undefined)
  assert.equal(later.resolvedAt, '2026-01-31T12:00:01.000Z')
})
