import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inTurns } from '../../../benchmarks/turns.ts'

test('every side has its turn in each round, in the reverse order every other time', async () => {
  const order: string[] = []

  const results = await inTurns(['a', 'b'], [0, 1, 2], async (side, round) => {
    order.push(`${side}${round}`)
    return round
  })

  assert.deepEqual(order, ['a0', 'b0', 'b1', 'a1', 'a2', 'b2'])
  assert.deepEqual(
    [...results],
    [
      ['a', [0, 1, 2]],
      ['b', [0, 1, 2]],
    ],
  )
})
