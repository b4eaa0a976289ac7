import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ours } from '../../../benchmarks/cache/ours.ts'
import { plainMap, scored } from '../../../benchmarks/cache/strategy.ts'

const TTL_MS = 1_000

test('a fresh answer costs nothing, an expired one a HEAD, one that moved a GET', () => {
  const limits = { size: 4, ttlMs: TTL_MS, versionAt: movesAt(5_000) }

  const score = scored(ours(limits), courseOf([0, 500, 2_000, 6_000], limits.versionAt))

  assert.deepEqual(
    { gets: score.gets, heads: score.heads, answered: score.answered, stale: score.stale },
    { gets: 2, heads: 1, answered: 0.25, stale: 0 },
  )
})

test('an answer that is given after its tag moved counts as stale', () => {
  const limits = { size: 4, ttlMs: TTL_MS, versionAt: movesAt(100) }

  for (const strategy of [ours(limits), plainMap(limits)]) {
    assert.equal(scored(strategy, courseOf([0, 500], limits.versionAt)).stale, 1)
  }
})

test('what is saved outlives a restart, and what is not does not', () => {
  const limits = { size: 4, ttlMs: TTL_MS, versionAt: () => 1 }
  const course = { ...courseOf([0, 500], limits.versionAt), restartEveryMs: 200 }

  assert.equal(scored(ours(limits), course).gets, 1)
  assert.equal(scored(ours({ ...limits, saved: false }), course).gets, 2)
  assert.equal(scored(plainMap(limits), course).gets, 2)
})

test('the plain map lets the oldest go, whether it is used or not', () => {
  const limits = { size: 1, ttlMs: Number.POSITIVE_INFINITY, versionAt: () => 1 }
  const course = { tags: Int32Array.from([1, 2, 1]), times: Float64Array.from([0, 1, 2]) }

  assert.equal(scored(plainMap(limits), { ...course, versionAt: limits.versionAt }).gets, 3)
})

function movesAt(ms: number): (tag: number, now: number) => number {
  return (_tag, now) => (now < ms ? 0 : 1)
}

function courseOf(times: readonly number[], versionAt: (tag: number, now: number) => number) {
  return { tags: new Int32Array(times.length), times: Float64Array.from(times), versionAt }
}
