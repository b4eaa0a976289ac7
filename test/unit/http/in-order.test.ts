import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { inOrder } from '../../../src/http/in-order.ts'

test('results come in the order of the things, however long each takes', async () => {
  const results: number[] = []
  const work = async (turns: number): Promise<number> => {
    for (let count = 0; count < turns; count += 1) await turn()
    return turns
  }

  for await (const result of inOrder([5, 1, 3, 0], 4, work)) results.push(result)

  assert.deepEqual(results, [5, 1, 3, 0])
})

test('a slow one does not keep the others from being worked on', async () => {
  const begun: string[] = []
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => {
    release = resolve
  })
  const results = inOrder(['slow', 'a', 'b', 'c'], 2, async (thing) => {
    begun.push(thing)
    if (thing === 'slow') await slow
    return thing
  })

  const first = results.next()
  await turn()
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
