import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { systemClock } from '../../../src/concurrency/clock.ts'
import { ChangedMarks } from '../../../src/shared-cache/changed-marks.ts'

test('a store that comes and goes is told again of a mark for a minute after the event, and of a later event anew', async () => {
  let now = 0
  const deleted: string[] = []
  const marks = new ChangedMarks({
    client: { delete: async (mark) => deleted.push(mark) > 0 },
    clock: systemClock,
    steady: () => now,
  })
  const again = async (at: number): Promise<number> => {
    now = at
    const before = deleted.length
    marks.repeat()
    await turn()
    return deleted.length - before
  }

  assert.equal(await marks.tell(['app:1']), true)
  const first = [await again(30_000), await again(59_000), await again(61_000)]
  assert.equal(await marks.tell(['app:1']), true)
  const second = [await again(120_000), await again(122_000)]

  assert.deepEqual(
    [first, second],
    [
      [1, 1, 0],
      [1, 0],
    ],
  )
})
