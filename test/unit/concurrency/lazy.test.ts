import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reloadable } from '../../../src/concurrency/lazy.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const GRACE_MS = 20_000

/** What is opened: tells what is done to it, and is under way until `end` is called. */
function busy(log: string[]) {
  const ends: (() => void)[] = []
  const open = async () => ({
    close: () => void log.push('closed'),
    retire: () => {
      log.push('retired')
      return new Promise<void>((resolve) => ends.push(resolve))
    },
  })
  return { open, end: () => ends[0]?.() }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test('what was replaced is closed once what is under way on it has ended', async () => {
  const log: string[] = []
  const clock = new FakeClock()
  const { open, end } = busy(log)
  const replaceable = new Reloadable(open, { clock, graceMs: GRACE_MS })
  await replaceable.get()

  replaceable.replace()
  await settled()
  assert.deepEqual(log, [])
  await clock.advance(GRACE_MS)
  await settled()
  assert.deepEqual(log, ['retired'])
  await clock.advance(10 * GRACE_MS)
  await settled()
  assert.deepEqual(log, ['retired'])
  end()
  await settled()
  assert.deepEqual(log, ['retired', 'closed'])
})

test('what was replaced and is still under way is closed when everything is', async () => {
  const log: string[] = []
  const clock = new FakeClock()
  const replaceable = new Reloadable(busy(log).open, { clock, graceMs: GRACE_MS })
  await replaceable.get()
  replaceable.replace()
  await clock.advance(GRACE_MS)
  await settled()

  await replaceable.close()

  assert.deepEqual(log, ['retired', 'closed'])
})
