import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClaims } from '../../../src/runtime/claims.ts'

test('a name that came with a pull is taken away when its image has another', async () => {
  const { claims, dropped } = scripted()
  const claim = await claims.enter('m/x')

  claim.named()
  const end = await claim.leave()

  assert.equal(end, 'gone')
  assert.deepEqual(dropped, ['m/x'])
})

test('a name stays when its image has got no other', async () => {
  const { claims, dropped } = scripted()
  const claim = await claims.enter('m/x')

  const end = await claim.leave()

  assert.equal(end, 'left')
  assert.deepEqual(dropped, [])
})

test('a name that was there before, or is wanted itself, stays', async () => {
  const { claims, dropped } = scripted({ existing: ['m/old'] })
  const old = await claims.enter('m/old')
  const wanted = await claims.enter('m/wanted')

  old.named()
  wanted.named()
  wanted.keep()
  const ends = [await old.leave(), await wanted.leave()]

  assert.deepEqual(ends, ['kept', 'kept'])
  assert.deepEqual([old.isOurs, wanted.isOurs], [false, true])
  assert.deepEqual(dropped, [])
})

test('only the last one to leave takes the name away, in whatever order they leave', async () => {
  const { claims, dropped } = scripted()
  const first = await claims.enter('m/x')
  const second = await claims.enter('m/x')
  second.named()

  const endOfSecond = await second.leave()
  const droppedMeanwhile = [...dropped]
  const endOfFirst = await first.leave()

  assert.deepEqual([endOfSecond, endOfFirst], ['held', 'gone'])
  assert.deepEqual([droppedMeanwhile, dropped], [[], ['m/x']])
})

test('one who comes while the name is being taken away waits, and sees it gone', async () => {
  const { claims, existing, dropped, holdDrops } = scripted()
  const first = await claims.enter('m/x')
  existing.add('m/x')
  first.named()
  const release = holdDrops()
  const leaving = first.leave()

  const entering = claims.enter('m/x')
  release()
  await leaving
  const second = await entering
  second.named()
  const end = await second.leave()

  assert.equal(end, 'gone')
  assert.deepEqual(dropped, ['m/x', 'm/x'])
})

test('a name that cannot be taken away is left', async () => {
  const claims = createClaims(
    async () => false,
    async () => false,
  )
  const claim = await claims.enter('m/x')
  claim.named()

  const end = await claim.leave()

  assert.equal(end, 'left')
  assert.equal(claims.isHeld('m/x'), false)
})

test('names are counted apart', async () => {
  const { claims, dropped } = scripted()
  const x = await claims.enter('m/x')
  const y = await claims.enter('m/y')

  y.named()
  await y.leave()
  await x.leave()

  assert.deepEqual(dropped, ['m/y'])
})

test('a claim fails when the runtime cannot be asked, and the next one asks again', async () => {
  let failing = true
  const claims = createClaims(
    async () => {
      if (failing) throw new Error('away')
      return false
    },
    async () => true,
  )

  await assert.rejects(claims.enter('m/x'), /away/)
  failing = false
  const claim = await claims.enter('m/x')
  claim.named()

  assert.equal(await claim.leave(), 'gone')
})

function scripted(options: { readonly existing?: readonly string[] } = {}) {
  const existing = new Set(options.existing)
  const dropped: string[] = []
  let held = Promise.resolve()
  const claims = createClaims(
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
  return { claims, existing, dropped, holdDrops }
}
