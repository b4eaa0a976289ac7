import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, zipf } from '../../../benchmarks/cache/stream.ts'

const DRAWS = 100_000

for (const s of [0.8, 1, 1.2]) {
  test(`with s = ${s} the second rank comes up 2 ** -${s} times as often as the first`, () => {
    const draw = zipf(1_000, s, seededRandom(1))
    const counts = [0, 0]

    for (let index = 0; index < DRAWS; index += 1) {
      const rank = draw()
      if (rank < 2) counts[rank] = (counts[rank] ?? 0) + 1
    }

    const [first = 0, second = 0] = counts
    assert.ok(Math.abs(second / first - 2 ** -s) < 0.05, `${second} of ${first}`)
  })
}

test('the ends of the random numbers are the ends of the ranks', () => {
  assert.equal(zipf(10, 1, () => 0)(), 0)
  assert.equal(zipf(10, 1, () => 1 - Number.EPSILON)(), 9)
})

test('the same seed gives the same numbers, another one others', () => {
  const take = (seed: number) => Array.from({ length: 5 }, seededRandom(seed))

  assert.deepEqual(take(7), take(7))
  assert.notDeepEqual(take(7), take(8))
})
