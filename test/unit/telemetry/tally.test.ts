import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tally } from '../../../src/telemetry/tally.ts'

test('a tally counts each combination of labels by itself', () => {
  const tally = new Tally(['method', 'code'])

  tally.add('PullImage', 'OK')
  tally.add('PullImage', 'OK')
  tally.add('PullImage', 'NOT_FOUND')

  assert.deepEqual(tally.rows(), [
    { labels: { method: 'PullImage', code: 'OK' }, count: 2 },
    { labels: { method: 'PullImage', code: 'NOT_FOUND' }, count: 1 },
  ])
  assert.equal(tally.total, 3)
})

test('labels beyond the limit are counted together', () => {
  const tally = new Tally(['method'], 2)

  for (const method of ['a', 'b', 'c', 'd', 'a']) tally.add(method)

  assert.deepEqual(tally.rows(), [
    { labels: { method: 'a' }, count: 2 },
    { labels: { method: 'b' }, count: 1 },
    { labels: { method: 'other' }, count: 2 },
  ])
})
