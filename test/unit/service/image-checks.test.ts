import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { ImagePlace } from '../../../src/resolver/availability.ts'
import { ImageChecks } from '../../../src/service/image-checks.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { digestOf } from '../../support/resolver.ts'

const HOUR = 3_600_000

function place(state: ImagePlace['state']): ImagePlace {
  const digest = state === 'present' ? { digest: digestOf('now') } : {}
  const origin = { registry: 'quay.io', reference: 'quay.io/a:1', origin: true, configured: false }
  return { ...origin, plainHttp: false, state, ...digest }
}

const IMAGES = ['quay.io/a:1', 'quay.io/b:1', 'quay.io/b:1', 'UPPER'].map((name) => ({
  names: [name],
  repoDigests: [`quay.io/a@${digestOf('old')}`],
}))

function checksWith(options: Partial<ConstructorParameters<typeof ImageChecks>[0]> = {}) {
  const clock = new FakeClock()
  const logged: unknown[] = []
  const log = (fields: unknown, text?: string) => void logged.push([fields, text])
  const checks = new ImageChecks({
    intervalMs: HOUR,
    named: async () => IMAGES,
    open: () => async (reference) => [place(reference.path === 'a' ? 'present' : 'absent')],
    clock,
    random: () => 0.5,
    logger: { info: log, warn: log } as never,
    ...options,
  })
  return { checks, clock, logged }
}

it('checks each image in use once, counts the states, and names in the log what is lost', async () => {
  const { checks, clock, logged } = checksWith()
  checks.start()
  assert.deepEqual([checks.report().checkedAt, checks.counts()], [null, undefined])

  await clock.advance(HOUR / 20)

  const { images } = checks.report()
  assert.deepEqual(
    images.map(({ movedTo, reference, state }) => [reference, state, movedTo]),
    [
      ['quay.io/a:1', 'origin-only', digestOf('now')],
      ['quay.io/b:1', 'node-only', undefined],
    ],
  )
  assert.deepEqual([checks.counts()?.['node-only'], checks.counts()?.gone], [1, 0])
  const fields = { images: 2, unavailable: 1, references: ['quay.io/b:1'] }
  assert.deepEqual(logged, [[fields, 'images in use would not start on another node']])
})

it('is spread over a tenth of the interval, and then made once for each', async () => {
  let made = 0
  const named = async () => {
    made += 1
    return []
  }
  const { checks, clock } = checksWith({ named, random: () => 1 })
  checks.start()
  await clock.advance(HOUR / 10 - 1)
  assert.equal(made, 0)
  await clock.advance(1)
  assert.equal(made, 1)
  await clock.advance(1.1 * HOUR - 1)
  assert.equal(made, 1)
  await clock.advance(1)
  assert.equal(made, 2)
  checks.close()
  assert.equal(clock.pendingTimers, 0)
})

it('asks for two images at a time, and for nothing more when it is closed', async () => {
  const waiting: (() => void)[] = []
  let asked = 0
  const images = Array.from({ length: 9 }, (_, n) => ({
    names: [`quay.io/a:${n}`],
    repoDigests: [],
  }))
  const { checks, clock } = checksWith({
    named: async () => images,
    open: () => async () => {
      asked += 1
      await new Promise<void>((resolve) => waiting.push(resolve))
      return [place('present')]
    },
  })
  checks.start()
  await clock.advance(HOUR / 20)
  assert.equal(asked, 2)
  waiting.shift()?.()
  await clock.advance(0)
  assert.equal(asked, 3)
  checks.close()
  for (const end of waiting) end()
  await clock.advance(HOUR)
  assert.equal(asked, 3)
  assert.equal(checks.report().checkedAt, null)
})

it('keeps the last result where the runtime does not answer, says so, and tries again', async () => {
  let fails = false
  const { checks, clock, logged } = checksWith({
    named: async () => {
      if (fails) throw new ResolveError('UNAVAILABLE', 'no runtime')
      return IMAGES
    },
  })
  checks.start()
  await clock.advance(HOUR / 20)
  fails = true
  await clock.advance(HOUR)
  assert.equal(checks.report().images.length, 2)
  assert.equal(checks.report().error, 'UNAVAILABLE: no runtime')
  // Asked again soon, and told of once.
  await clock.advance(60_000)
  assert.equal(logged.length, 2)
  fails = false
  await clock.advance(10_000)
  assert.equal(checks.report().error, undefined)
})

it('is not made without an interval', async () => {
  const { checks, clock } = checksWith({ intervalMs: 0, named: async () => assert.fail() })
  checks.start()
  await clock.advance(HOUR)
  assert.deepEqual(checks.report(), { enabled: false, checkedAt: null, images: [] })
})
