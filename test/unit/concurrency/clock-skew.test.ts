import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClockSkew } from '../../../src/concurrency/clock.ts'

function skewed() {
  const clock = { wall: 1_000_000, steady: 50 }
  const setBack = new ClockSkew(
    () => clock.wall,
    () => clock.steady,
  )
  return { clock, setBack, byMs: () => setBack.byMs(clock.wall) }
}

test('time that passes is no step', () => {
  const { clock, byMs } = skewed()

  clock.wall += 60_000
  clock.steady += 60_000

  assert.equal(byMs(), 0)
})

test('a step back is reported once', () => {
  const { clock, byMs } = skewed()

  clock.wall -= 60_000

  assert.deepEqual([byMs(), byMs()], [60_000, 0])
})

test('a step back is noticed though more time than that has passed', () => {
  const { clock, byMs } = skewed()

  clock.wall += 600_000 - 60_000
  clock.steady += 600_000

  assert.equal(byMs(), 60_000)
})

test('small steps add up', () => {
  const { clock, byMs } = skewed()

  clock.wall -= 100
  assert.equal(byMs(), 0)
  clock.wall -= 100

  assert.equal(byMs(), 200)
})

test('a step forward is not reported, and a step back from there is', () => {
  const { clock, byMs } = skewed()

  clock.wall += 60_000
  assert.equal(byMs(), 0)
  clock.wall -= 60_000

  assert.equal(byMs(), 60_000)
})

test('a process that is made to wait between the two clocks notices nothing', () => {
  const { clock, byMs, setBack } = skewed()
  const now = clock.wall
  clock.wall += 5_000
  clock.steady += 5_000

  assert.deepEqual([setBack.byMs(now), byMs()], [0, 0])
})

test('a step is reported in whole milliseconds, rounded up', () => {
  const { clock, byMs } = skewed()

  clock.wall -= 5_000
  clock.steady += 0.25

  assert.deepEqual([byMs(), byMs()], [5_001, 0])
})
