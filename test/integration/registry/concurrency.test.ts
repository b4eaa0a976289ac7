import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FakeRegistry, serve } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'

const IMAGE = buildImage()

/** A registry that answers when it is let, and counts how many wait for that at once. */
async function startHeld(t: TestContext) {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const held: (() => void)[] = []
  let most = 0
  let open = false
  let full = () => {}
  registry.behaviour = (exchange) => {
    if (open) return serve(exchange)
    held.push(() => serve(exchange))
    most = Math.max(most, held.length)
    full()
  }
  return {
    registry,
    most: () => most,
    reached: (count: number) =>
      new Promise<void>((resolve) => {
        full = () => held.length === count && resolve()
        full()
      }),
    letGo: () => {
      open = true
      for (const answer of held.splice(0)) answer()
    },
  }
}

test('one registry gets 16 requests at a time, and the others after that', async (t) => {
  const { registry, most, reached, letGo } = await startHeld(t)
  const images = startImages(t)
  const all = Array.from({ length: 50 }, () =>
    images.image(ask(registry, 'library/app', '1'), AMD64),
  )

  await reached(16)
  letGo()
  const answers = await Promise.all(all)

  assert.equal(most(), 16)
  assert.equal(answers.length, 50)
  assert.equal(registry.requests.length, 50)
})

test('waiting for a turn does not count into the limit of a question', async (t) => {
  const { registry, reached, letGo } = await startHeld(t)
  const images = startImages(t, { maxConcurrent: 1, attemptTimeoutMs: 3_000 })
  const first = images.image(ask(registry, 'library/app', '1'), AMD64)
  const second = images.image(ask(registry, 'library/app', '1'), AMD64)
  const late = { code: 'DEADLINE_EXCEEDED', message: /no answer within 3000 ms/ }
  await reached(1)

  await assert.rejects(first, late)
  letGo()

  assert.equal((await second).imageId, IMAGE.imageId)
})

test('a caller that leaves the queue is CANCELED at once, and sends no request', async (t) => {
  const { registry, reached, letGo } = await startHeld(t)
  const images = startImages(t, { maxConcurrent: 1 })
  const caller = new AbortController()
  const first = images.image(ask(registry, 'library/app', '1'), AMD64)
  const second = images.image(ask(registry, 'library/app', '1', { signal: caller.signal }), AMD64)
  await reached(1)

  caller.abort()

  await assert.rejects(second, { code: 'CANCELED' })
  letGo()
  await first
  assert.equal(registry.requests.length, 1)
})

test('a slow registry does not hold up another', async (t) => {
  const { registry, reached, letGo } = await startHeld(t)
  const other = await FakeRegistry.start(t)
  other.put('library/app', '1', IMAGE)
  const images = startImages(t, { maxConcurrent: 1 })
  const slow = images.image(ask(registry, 'library/app', '1'), AMD64)
  await reached(1)

  assert.equal((await images.image(ask(other, 'library/app', '1'), AMD64)).imageId, IMAGE.imageId)

  letGo()
  await slow
})
