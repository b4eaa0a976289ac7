import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { inTurn } from '../../../src/concurrency/in-turn.ts'

async function* from<T>(things: readonly T[]): AsyncGenerator<T> {
  yield* things
}

test('results come in the order of the things, whatever is ready first', async () => {
  const ends = new Map<number, () => void>()
  const work = (thing: number) =>
    new Promise<number>((resolve) => ends.set(thing, () => resolve(thing)))
  const results = inTurn(from([1, 2, 3]), 3, work)

  const first = results.next()
  while (ends.size < 3) await new Promise(setImmediate)
  for (const thing of [3, 2, 1]) ends.get(thing)?.()

  const rest = []
  for await (const result of results) rest.push(result)
  assert.deepEqual([(await first).value, ...rest], [1, 2, 3])
})

test('no more is worked on at one time, and no more is read, than was said', async () => {
  let [read, running, most] = [0, 0, 0]
  async function* things(): AsyncGenerator<number> {
    for (; read < 100; ) {
      read += 1
      yield read
    }
  }
  const seen: number[] = []
  for await (const result of inTurn(things(), 4, async (thing) => {
    running += 1
    most = Math.max(most, running)
    await new Promise(setImmediate)
    running -= 1
    return thing
  })) {
    seen.push(result)
    assert.ok(read <= seen.length + 5, `${read} read after ${seen.length} results`)
  }

  assert.equal(most, 4)
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, index) => index + 1),
  )
})

test('an answer is printed although more input is awaited', async () => {
  async function* typing(): AsyncGenerator<string> {
    yield 'one'
    await new Promise(() => {})
  }

  const { value } = await inTurn(typing(), 8, async (thing) => thing).next()

  assert.equal(value, 'one')
})

test('an input that fails ends it, and one that is left is closed', async () => {
  async function* failing(): AsyncGenerator<string> {
    yield 'one'
    throw new Error('the pipe broke')
  }
  let closed = false
  async function* endless(): AsyncGenerator<string> {
    try {
      for (;;) yield 'more'
    } finally {
      closed = true
    }
  }

  await assert.rejects(async () => {
    for await (const _ of inTurn(failing(), 2, async (thing) => thing));
  }, /the pipe broke/)
  for await (const _ of inTurn(endless(), 2, async (thing) => thing)) break

  assert.ok(closed)
})

test('a slow one does not keep the others from being worked on', { timeout: 60_000 }, async () => {
  const begun: string[] = []
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => {
    release = resolve
  })
  const results = inTurn(['slow', 'a', 'b', 'c'], 8, async (thing) => {
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

  for await (const _ of inTurn(things, 2, async (thing) => {
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
  for await (const _ of inTurn([], 2, async () => assert.fail())) assert.fail()
})
