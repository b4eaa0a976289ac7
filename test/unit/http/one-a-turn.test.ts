import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inTurn } from '../../../src/concurrency/in-turn.ts'
import { oneATurn } from '../../../src/http/routes/resolve-many.ts'

test('what is known at once is still worked on in turns, so that others are served between', async () => {
  let turns = 0
  const count = (): void => {
    turns += 1
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  const things = Array.from({ length: 100 }, (_, index) => index)

  for await (const result of inTurn(oneATurn(things), 4, async (thing) => thing))
    assert.ok(result >= 0)

  clearImmediate(next)
  assert.ok(turns >= 20, `${turns} turns for 100 things, 4 at once`)
})
