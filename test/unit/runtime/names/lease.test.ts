import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNameLeases } from '../../../../src/runtime/names/lease.ts'

test('a name that came with a pull is taken away when its image has another', async () => {
  const { leases, dropped } = scripted()
  const lease = await leases.acquire('m/x')

  lease.named()
  const end = await lease.release()

  assert.equal(end, 'gone')
  assert.deepEqual(dropped, ['m/x'])
})

test('a name stays when its image has got no other', async () => {
  const { leases, dropped } = scripted()
  const lease = await leases.acquire('m/x')

  const end = await lease.release()

  assert.equal(end, 'left')
  assert.deepEqual(dropped, [])
})

test('a name that was there before, or is wanted itself, stays', async () => {
  const { leases, dropped } = scripted({ existing: ['m/old'] })
  const old = await leases.acquire('m/old')
  const wanted = await leases.acquire('m/wanted')

  old.named()
  wanted.named()
  wanted.keep()
  const ends = [await old.release(), await wanted.release()]

  assert.deepEqual(ends, ['kept', 'kept'])
  assert.deepEqual([old.isOurs, wanted.isOurs], [false, true])
  assert.deepEqual(dropped, [])
})

test('only the last one to leave takes the name away, in whatever order they leave', async () => {
  const { leases, dropped } = scripted()
  const first = await leases.acquire('m/x')
  const second = await leases.acquire('m/x')
  second.named()

  const endOfSecond = await second.release()
  const droppedMeanwhile = [...dropped]
  const endOfFirst = await first.release()

  assert.deepEqual([endOfSecond, endOfFirst], ['held', 'gone'])
  assert.deepEqual([droppedMeanwhile, dropped], [[], ['m/x']])
})

test('one who comes while the name is being taken away waits, and sees it gone', async () => {
  const { leases, existing, dropped, holdDrops } = scripted()
  const first = await leases.acquire('m/x')
  existing.add('m/x')
  first.named()
  const release = holdDrops()
  const releasing = first.release()

  const acquiring = leases.acquire('m/x')
  release()
  await releasing
  const second = await acquiring
  second.named()
  const end = await second.release()

  assert.equal(end, 'gone')
  assert.deepEqual(dropped, ['m/x', 'm/x'])
})

test('a name that cannot be taken away is left', async () => {
  const leases = createNameLeases(
    async () => false,
    async () => false,
  )
  const lease = await leases.acquire('m/x')
  lease.named()

  const end = await lease.release()

  assert.equal(end, 'left')
  assert.equal(leases.isHeld('m/x'), false)
})

test('names are counted apart', async () => {
  const { leases, dropped } = scripted()
  const x = await leases.acquire('m/x')
  const y = await leases.acquire('m/y')

  y.named()
  await y.release()
  await x.release()

  assert.deepEqual(dropped, ['m/y'])
})

test('a lease fails when the runtime cannot be asked, and the next one asks again', async () => {
  let failing = true
  const leases = createNameLeases(
    async () => {
      if (failing) throw new Error('away')
      return false
    },
    async () => true,
  )

  await assert.rejects(leases.acquire('m/x'), /away/)
  failing = false
  const lease = await leases.acquire('m/x')
  lease.named()

  assert.equal(await lease.release(), 'gone')
})

function scripted(options: { readonly existing?: readonly string[] } = {}) {
  const existing = new Set(options.existing)
  const dropped: string[] = []
  let held = Promise.resolve()
  const leases = createNameLeases(
    async (name) => existing.has(name),
    async (name) => {
      await held
      existing.delete(name)
      dropped.push(name)
      return true
    },
  )
  const holdDrops = () => {
    let release = () => {}
    held = new Promise((resolve) => {
      release = resolve
    })
    return release
  }
  return { leases, existing, dropped, holdDrops }
}
