import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IdleCollection } from '../../../src/host/idle-collection.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const MEBIBYTE = 1024 ** 2

function service(collect?: () => Promise<void>) {
  const clock = new FakeClock()
  const usage = {
    activeMs: 300,
    idleMs: 0,
    cpuMs: 300,
    bytes: 60 * MEBIBYTE,
    heapBytes: 20 * MEBIBYTE,
    collectionMs: 20,
  }
  const collections: boolean[] = []
  const memory = new IdleCollection({
    clock,
    usage: () => ({ ...usage }),
    collect: async (isFirst) => {
      collections.push(isFirst)
      usage.activeMs += usage.collectionMs
      usage.cpuMs += usage.collectionMs
      usage.bytes = 55 * MEBIBYTE
      await collect?.()
    },
  })
  /** Seconds in each of which it works that many milliseconds. */
  const seconds = async (...ms: number[]): Promise<void> => {
    for (const each of ms) {
      usage.activeMs += each
      usage.cpuMs += each
      usage.idleMs += 1_000 - each
      await clock.advance(1_000)
    }
  }
  const grow = (mebibytes: number): void => {
    usage.bytes += mebibytes * MEBIBYTE
  }
  return { clock, collections, grow, memory, seconds, usage }
}

test('what the start left is collected once the service is idle', async () => {
  const { collections, memory, seconds } = service()
  memory.start()

  await seconds(200, 110)
  assert.deepEqual(collections, [])
  await seconds(10, 10, 10)

  assert.deepEqual(collections, [true])
})

test('what a load left is collected once it is over, and little work or little memory is not', async () => {
  const { collections, grow, memory, seconds } = service()
  memory.start()
  await seconds(0, 0)

  grow(7)
  await seconds(900, 900, 10)
  assert.deepEqual(collections, [true])
  grow(1)
  await seconds(900)
  assert.deepEqual(collections, [true])
  await seconds(10, 10)
  assert.deepEqual(collections, [true, false])
  grow(30)
  await seconds(300, 10)

  assert.deepEqual(collections, [true, false])
})

test('collecting takes a twentieth of the processor time at the most, and waits while the heap is full', async () => {
  const { collections, grow, memory, seconds, usage } = service()
  usage.collectionMs = 100
  memory.start()
  await seconds(0, 0)

  grow(30)
  await seconds(900, 900, 10)
  assert.deepEqual(collections, [true])
  usage.heapBytes = 100 * MEBIBYTE
  await seconds(200, 10)
  assert.deepEqual(collections, [true])
  usage.heapBytes = 20 * MEBIBYTE
  await seconds(10)

  assert.deepEqual(collections, [true, false])
})

test('where V8 cannot be asked to collect, it is asked no more', async () => {
  const { clock, collections, grow, memory, seconds } = service(() =>
    Promise.reject(new Error('none')),
  )
  memory.start()

  await seconds(0)
  grow(30)
  await seconds(900, 900, 0, 0)

  assert.deepEqual(collections, [true])
  assert.equal(clock.pendingTimers, 0)
})

test('nothing is looked at after the end', async () => {
  const { clock, collections, memory, seconds } = service()
  memory.start()
  memory.close()

  await seconds(0, 0)

  assert.deepEqual([collections, clock.pendingTimers], [[], 0])
})

test('V8 gives the memory of an idle process back', async () => {
  const memory = new IdleCollection({
    clock: new FakeClock(),
    usage: () => ({ activeMs: 0, idleMs: 0, cpuMs: 0, bytes: 0, heapBytes: 0 }),
  })
  let garbage: unknown = Array.from({ length: 50_000 }, (_, index) => ({ index }))
  const before = process.memoryUsage().heapUsed
  garbage = undefined

  await memory.look()

  assert.equal(garbage, undefined)
  const after = process.memoryUsage().heapUsed
  assert.ok(after < before - 1_000_000, `${before} bytes, then ${after}`)
})
