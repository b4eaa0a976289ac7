import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toResolveResponse } from '../../../src/resolver/answers.ts'
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

  const text = JSON.stringify(toResolveResponse(answer, true))

  assert.ok(text.includes('"attempts"'))
  assert.ok(text.includes('"node"'))
  assert.ok(text.includes('"exchanges"'))
  assert.ok(!text.includes('hunter2'))
})

test('an answer says where it comes from and when, and who was asked only where that is wanted', () => {
  const answer = anAnswer({ source: 'stale', node: { present: false } })

  const plain = toResolveResponse(answer, false)
  const explained = toResolveResponse(answer, true)
  const everybody = toResolveResponse(answer, false, true)
  const later = toResolveResponse({ ...answer, resolvedAt: answer.resolvedAt + 1000 }, false)

  assert.equal(plain.source, 'stale')
  assert.deepEqual(plain.node, { present: false })
  assert.deepEqual([plain.attempts, plain.candidates], [undefined, undefined])
  assert.equal(explained.attempts?.length, 1)
  assert.equal(everybody.candidates?.length, 1)
  assert.equal(everybody.attempts, undefined)
  assert.equal(later.resolvedAt, '2026-01-31T12:00:01.000Z')
})
