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

test('as many marks as the store may be told of are told again beside new ones', async () => {
  const deleted = new Set<string>()
  let isThere = true
  const marks = new ChangedMarks({
    client: {
      delete: async (mark) => {
        if (isThere) deleted.add(mark)
        return isThere
      },
    },
    // Between two attempts nothing is waited for.
    clock: { ...systemClock, after: (ms, run) => systemClock.after(ms < 1_000 ? 0 : ms, run) },
    steady: () => 0,
  })
  const all = Array.from({ length: 10_000 }, (_, each) => `app:${each}`)
  assert.equal(await marks.tell(all), true)
  deleted.clear()

  isThere = false
  void marks.tell(['new:1'])
  marks.repeat()
  isThere = true
  for (let turns = 0; turns < 10_000 && deleted.size <= all.length; turns += 1) await turn()

  assert.deepEqual([...deleted].sort(), [...all, 'new:1'].sort())
  marks.close()
})
