import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { askAll } from '../../../src/resolver/failover.ts'
import { ResolveTrace } from '../../../src/resolver/trace.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { candidate, FakeHealth } from '../../support/resolver.ts'

function scene() {
  const clock = new FakeClock()
  const health = new FakeHealth()
  const controller = new AbortController()
  const candidates = [candidate('m1'), candidate('m2'), candidate('m3')]
  const trace = new ResolveTrace<string>('nginx', candidates, health, clock)
  const asked: string[] = []
  const options = {
    clock,
    trace,
    limits: { hedgeDelayMs: 300, probeBudgetMs: 2_000 },
    signal: controller.signal,
    resting: false,
  }
  const outcomes = () => trace.attempts.map(({ registry, outcome }) => `${registry} ${outcome}`)
  return { asked, candidates, clock, controller, health, options, outcomes }
}

test('all candidates are asked at once, and every answer counts', async () => {
  const { asked, candidates, options, outcomes } = scene()

  await askAll(
    candidates,
    async ({ registry }) => {
      asked.push(registry)
      if (registry === 'm2') throw new ResolveError('DENIED', 'no')
      return 'here'
    },
    options,
  )

  assert.deepEqual(asked, ['m1', 'm2', 'm3'])
  assert.deepEqual(outcomes(), ['m1 ok', 'm2 denied', 'm3 ok'])
})

test('candidates with an open breaker are asked only by `resting`, those that answered 429 never', async () => {
  const { asked, candidates, health, options, outcomes } = scene()
  health.resting.add('m1')
  health.quiet.add('m2')
  const ask = async ({ registry }: { readonly registry: string }): Promise<string> => {
    asked.push(registry)
    return 'here'
  }

  await askAll(candidates, ask, options)
  assert.deepEqual(asked, ['m3'])
  assert.deepEqual(outcomes(), ['m1 skipped', 'm2 skipped', 'm3 ok'])
  await askAll(candidates, ask, { ...options, resting: true })

  assert.deepEqual(asked, ['m3', 'm1', 'm3'])
})

test('the signal ends it although no request listens, and counts against no registry', async () => {
  const { candidates, clock, controller, health, options, outcomes } = scene()

  const asking = askAll(candidates, () => new Promise<string>(() => {}), options)
  await settle()
  controller.abort(new Error('gone'))
  await asking

  assert.deepEqual(outcomes(), ['m1 canceled', 'm2 canceled', 'm3 canceled'])
  assert.deepEqual(health.told, [])
  assert.equal(clock.pendingTimers, 0)
})

test('a candidate that uses up its budget has failed', async () => {
  const { candidates, clock, health, options } = scene()

  const asking = askAll(candidates.slice(0, 1), () => new Promise<string>(() => {}), options)
  await clock.advance(2_000)
  await asking

  assert.deepEqual(health.told, ['m1 failed'])
})

test('time in the queue is not part of the budget, and does not count against a registry at the end', async () => {
  const { candidates, clock, controller, health, options, outcomes } = scene()

  const asking = askAll(
    candidates.slice(0, 2),
    ({ registry }, { ticket }) =>
      new Promise<string>((resolve) => {
        ticket?.waiting?.()
        if (registry === 'm2') return
        clock.after(5_000, () => {
          ticket?.entered?.()
          clock.after(1_999, () => resolve('here'))
        })
      }),
    options,
  )
  await clock.advance(10_000)
  controller.abort(new ResolveError('DEADLINE_EXCEEDED', 'out of time'))
  await asking

  assert.deepEqual(outcomes(), ['m1 ok', 'm2 skipped'])
  assert.equal(options.trace.attempts[0]?.ms, 1_999)
  assert.deepEqual(health.told, ['m1 ok'])
})
