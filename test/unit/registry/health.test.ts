import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegistryHealth } from '../../../src/registry/health.ts'

const EPOCH = 1_700_000_000_000

function clocked() {
  const clock = { wall: EPOCH, steady: 0 }
  const health = new RegistryHealth({
    now: () => clock.wall,
    steady: () => clock.steady,
    random: () => 0.5,
  })
  const pass = (ms: number): void => {
    clock.wall += ms
    clock.steady += ms
  }
  return { clock, health, pass }
}

test('of a registry that was never asked it is known that it may be', () => {
  const { health } = clocked()

  assert.ok(health.admit('a'))
  assert.deepEqual(health.report('a'), { registry: 'a', state: 'closed', failures: 0 })
  assert.deepEqual(health.reports(), [])
})

test('a failure is reported with its reason, and until when the registry rests', () => {
  const { health } = clocked()

  health.failure('a', { code: 'UNAVAILABLE', message: 'a: connection refused' })

  assert.ok(!health.admit('a'))
  assert.deepEqual(health.report('a'), {
    registry: 'a',
    state: 'open',
    failures: 1,
    openUntil: EPOCH + 1_000,
    lastFailureAt: EPOCH,
    lastError: { code: 'UNAVAILABLE', message: 'a: connection refused' },
  })
})

test('after its rest one caller is admitted, and a success closes it', () => {
  const { health, pass } = clocked()
  health.failure('a', { code: 'UNAVAILABLE', message: 'gone' })
  pass(1_000)

  assert.deepEqual([health.admit('a'), health.admit('a')], [true, false])
  assert.equal(health.report('a').state, 'half-open')
  assert.equal(health.report('a').openUntil, undefined)
  health.success('a', { ms: 40 })

  assert.deepEqual(health.report('a'), {
    registry: 'a',
    state: 'closed',
    failures: 0,
    latencyMs: 40,
    lastSuccessAt: EPOCH + 1_000,
    lastFailureAt: EPOCH,
    lastError: { code: 'UNAVAILABLE', message: 'gone' },
  })
})

test('a registry that asks for a pause is reported as parked', () => {
  const { health, pass } = clocked()

  health.failure('a', { retryAfterMs: 30_000, code: 'TOOMANYREQUESTS', message: 'slow down' })
  pass(10_000)

  const { state, failures, parkedUntil, openUntil } = health.report('a')
  assert.equal(health.parkedMs('a'), 20_000)
  assert.deepEqual(
    { state, failures, parkedUntil, openUntil },
    {
      state: 'parked',
      failures: 0,
      parkedUntil: EPOCH + 30_000,
      openUntil: undefined,
    },
  )
})

test('a clock that is set back does not make a rest longer', () => {
  const { clock, health, pass } = clocked()
  health.failure('a')

  clock.wall -= 3_600_000
  pass(1_000)

  assert.ok(health.admit('a'))
})

test('latency is a moving average', () => {
  const { health } = clocked()

  health.success('a', { ms: 100 })
  health.success('a', { ms: 200 })
  health.success('a')

  assert.equal(health.report('a').latencyMs, 120)
})

test('a time that cannot be is left out of the average', () => {
  const { health } = clocked()
  health.success('a', { ms: 100 })

  health.success('a', { ms: Number.NaN })
  health.success('a', { ms: -5 })

  assert.equal(health.report('a').latencyMs, 100)
})

test('a registry that says that nothing is left is still asked', () => {
  const { health } = clocked()

  health.remaining('a', { remaining: 0, limit: 100, windowSeconds: 21_600 })

  assert.ok(health.admit('a'))
  const { state, rateLimit } = health.report('a')
  assert.equal(state, 'closed')
  assert.deepEqual(rateLimit, { remaining: 0, limit: 100, windowSeconds: 21_600 })
})

test('what is left is not reported beyond the window it was said for', () => {
  const { health, pass } = clocked()
  health.remaining('a', { remaining: 7, windowSeconds: 60 })
  health.remaining('b', { remaining: 7 })

  pass(60_000)

  assert.equal(health.report('a').rateLimit, undefined)
  assert.deepEqual(health.report('b').rateLimit, { remaining: 7 })
})

test('a message is cut at 300 characters', () => {
  const { health } = clocked()

  health.failure('a', { code: 'UNKNOWN', message: 'x'.repeat(5_000) })

  assert.equal(health.report('a').lastError?.message, 'x'.repeat(300))
})

test('reports are in the order of names', () => {
  const { health } = clocked()

  for (const name of ['b', 'c', 'a']) health.success(name)

  assert.deepEqual(
    health.reports().map(({ registry }) => registry),
    ['a', 'b', 'c'],
  )
})

test('a thousand registries are remembered, and those that were heard of last', () => {
  const { health } = clocked()
  health.success('first')

  for (let index = 0; index < 999; index += 1) health.success(`registry-${index}`)
  health.success('first')
  health.success('one more')

  const names = health.reports().map(({ registry }) => registry)
  assert.equal(names.length, 1_000)
  assert.ok(names.includes('first'))
  assert.ok(!names.includes('registry-0'))
})
