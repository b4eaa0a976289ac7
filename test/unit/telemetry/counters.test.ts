import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Histogram, LabelledCounter } from '../../../src/telemetry/counters.ts'

test('a histogram without records has no quantiles', () => {
  const histogram = new Histogram()

  assert.equal(histogram.count, 0)
  assert.equal(histogram.quantileMs(0.5), undefined)
})

test('a duration at a bound belongs to the bucket below it', () => {
  const histogram = new Histogram()

  histogram.record(5)
  histogram.record(5.1)

  const upTo5 = histogram.cumulative().find(({ boundMs }) => boundMs === 5)
  const upTo10 = histogram.cumulative().find(({ boundMs }) => boundMs === 10)
  assert.equal(upTo5?.count, 1)
  assert.equal(upTo10?.count, 2)
  assert.equal(histogram.sumMs, 10.1)
})

test('the last bucket holds everything, however long it took', () => {
  const histogram = new Histogram()

  histogram.record(1e9)

  assert.deepEqual(histogram.cumulative().at(-1), { boundMs: Number.POSITIVE_INFINITY, count: 1 })
  assert.equal(histogram.quantileMs(0.99), 60_000)
})

test('a quantile lies evenly within its bucket', () => {
  const histogram = new Histogram()

  for (let call = 0; call < 100; call += 1) histogram.record(3)

  assert.equal(histogram.quantileMs(0.5), 3.75)
  assert.equal(histogram.quantileMs(1), 5)
})

test('a quantile passes over empty buckets', () => {
  const histogram = new Histogram()

  for (let call = 0; call < 99; call += 1) histogram.record(0.005)
  histogram.record(900)

  assert.ok((histogram.quantileMs(0.5) ?? 0) <= 0.01)
  assert.ok((histogram.quantileMs(0.999) ?? 0) > 500)
})

test('a labelled counter counts each combination of labels by itself', () => {
  const counter = new LabelledCounter(['method', 'code'])

  counter.add('PullImage', 'OK')
  counter.add('PullImage', 'OK')
  counter.add('PullImage', 'NOT_FOUND')

  assert.deepEqual(counter.rows(), [
    { labels: { method: 'PullImage', code: 'OK' }, count: 2 },
    { labels: { method: 'PullImage', code: 'NOT_FOUND' }, count: 1 },
  ])
  assert.equal(counter.total, 3)
})

test('labels beyond the limit are counted together', () => {
  const counter = new LabelledCounter(['method'], 2)

  for (const method of ['a', 'b', 'c', 'd', 'a']) counter.add(method)

  assert.deepEqual(counter.rows(), [
    { labels: { method: 'a' }, count: 2 },
    { labels: { method: 'b' }, count: 1 },
    { labels: { method: 'other' }, count: 2 },
  ])
})
