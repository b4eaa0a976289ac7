import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { inOrder } from '../../../src/http/routes/resolve-many.ts'

test('results come in the order of the things, however long each takes', async () => {
  const results: number[] = []
  const work = async (turns: number): Promise<number> => {
    for (let count = 0; count < turns; count += 1) await turn()
    return turns
  }

  for await (const result of inOrder([5, 1, 3, 0], 4, work)) results.push(result)

  assert.deepEqual(results, [5, 1, 3, 0])
})

test('a slow one does not keep the others from being worked on', { timeout: 60_000 }, async () => {
  const begun: string[] = []
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => {
    release = resolve
  })
  const results = inOrder(['slow', 'a', 'b', 'c'], 8, async (thing) => {
    begun.push(thing)
    if (thing === 'slow') await slow
    return thing
  })

  const first = results.next()
  while (begun.length < 4) await turn()
  assert.deepEqual(begun, ['slow', 'a', 'b', 'c'])
  release()

  assert.equal((await first).value, 'slow')
})

test('who stops taking them stops the work', async () => {
  const begun: number[] = []
  const things = Array.from({ length: 100 }, (_, index) => index)

  for await (const _ of inOrder(things, 2, async (thing) => {
    begun.push(thing)
    await turn()
  })) {
    break
  }
  await turn()
  await turn()

  assert.ok(begun.length < 10, `${begun.length} were begun`)
})

test('of nothing there is nothing', async () => {
  for await (const _ of inOrder([], 2, async () => assert.fail())) assert.fail()
})

test('what is known at once is still worked on in turns, so that others are served between', async () => {
  let turns = 0
  const count = (): void => {
    turns += 1
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  const things = Array.from({ length: 100 }, (_, index) => index)

  for await (const result of inOrder(things, 4, async (thing) => thing)) assert.ok(result >= 0)

  clearImmediate(next)
  assert.ok(turns >= 20, `${turns} turns for 100 things, 4 at once`)
})
