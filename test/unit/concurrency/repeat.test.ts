import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repeat } from '../../../src/concurrency/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'

test('what is repeated waits for the time before to end, and is over when that is said, also meanwhile', async () => {
  const clock = new FakeClock()
  const ends: (() => void)[] = []
  const end = repeat(1_000, clock, () => new Promise<void>((resolve) => void ends.push(resolve)))

  await clock.advance(1_000)
  await clock.advance(5_000)
  assert.equal(ends.length, 1)
  ends[0]?.()
  await clock.advance(0)
  await clock.advance(1_000)
  assert.equal(ends.length, 2)
  end()
  ends[1]?.()
  await clock.advance(5_000)

  assert.deepEqual([ends.length, clock.pendingTimers], [2, 0])
})
