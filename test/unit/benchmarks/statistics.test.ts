import assert from 'node:assert/strict'
import { test } from 'node:test'
import { percentile, spread } from '../../../benchmarks/statistics.ts'

test('a spread has the middle and both ends, whatever the order', () => {
  assert.deepEqual(spread([3, 1, 2]), { median: 2, min: 1, max: 3 })
})

test('of an even number of rounds the median lies between the two in the middle', () => {
  assert.equal(spread([1, 2, 4, 10]).median, 3)
})

for (const [part, value] of [
  [0, 1],
  [0.5, 50],
  [0.99, 99],
  [1, 100],
] as const) {
  test(`the ${part * 100}th percentile of 1 to 100 is ${value}`, () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)

    assert.equal(percentile(values, part), value)
  })
}

test('numbers are put in order as numbers', () => {
  assert.equal(percentile([10, 9, 100], 0.5), 10)
})

test('nothing has no median and no percentile', () => {
  assert.throws(() => spread([]), RangeError)
  assert.throws(() => percentile([], 0.5), RangeError)
})
