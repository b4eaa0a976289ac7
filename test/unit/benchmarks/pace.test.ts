import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace } from '../../../benchmarks/turns.ts'

test('with time enough there are as many rounds as were wanted', () => {
  const pace = new Pace(false, 10, () => 0)

  assert.deepEqual([...pace.rounds(3)], [0, 1, 2])
  assert.equal(pace.shortage(), undefined)
})

test('once the time is up no round is begun but a first one, and that is said', () => {
  let nowMs = 0
  const pace = new Pace(false, 10, () => nowMs)
  const begun: number[] = []

  for (const round of pace.rounds(5)) {
    begun.push(round)
    nowMs += 6_000
  }

  assert.deepEqual(begun, [0, 1])
  assert.deepEqual([...pace.rounds(4)], [0])
  assert.match(pace.shortage() ?? '', /^6 further rounds/)
})

test('a quick look has one round, and misses nothing', () => {
  const pace = new Pace(true, 10, () => 0)

  assert.deepEqual([...pace.rounds(3)], [0])
  assert.equal(pace.shortage(), undefined)
})
