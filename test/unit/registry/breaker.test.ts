import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Breaker } from '../../../src/registry/breaker.ts'

function clocked(random = 0.5) {
  const clock = { ms: 0 }
  const breaker = new Breaker({ now: () => clock.ms, random: () => random })
  return { clock, breaker }
}

test('a registry that never failed is asked', () => {
  const { breaker } = clocked()

  assert.ok(breaker.admit('a'))
  assert.equal(breaker.restMs('a'), 0)
  assert.equal(breaker.state('a'), 'closed')
})

test('the first failure opens for a second, for that registry alone', () => {
  const { breaker, clock } = clocked()

  breaker.failure('a')

  assert.ok(!breaker.admit('a'))
  assert.equal(breaker.restMs('a'), 1_000)
  assert.ok(breaker.admit('b'))
  clock.ms = 999
  assert.ok(!breaker.admit('a'))
  clock.ms = 1_000
  assert.ok(breaker.admit('a'))
})

test('after the pause one probe is admitted, not two', () => {
  const { breaker, clock } = clocked()
  breaker.failure('a')
  clock.ms = 1_000

  assert.ok(breaker.admit('a'))
  assert.ok(!breaker.admit('a'))
})

test('while its probe is under way it is on trial, after a pause that it asked for it is not', () => {
  const { breaker, clock } = clocked()
  breaker.failure('a')
  breaker.failure('b', { retryAfterMs: 1_000 })
  const resting = breaker.onTrial('a')
  clock.ms = 1_000

  breaker.admit('a')
  breaker.admit('b')

  assert.equal(resting, false)
  assert.equal(breaker.onTrial('a'), true)
  assert.equal(breaker.onTrial('b'), false)
  breaker.success('a')
  assert.equal(breaker.onTrial('a'), false)
})

test('a probe that succeeds closes it', () => {
  const { breaker, clock } = clocked()
  breaker.failure('a')
  clock.ms = 1_000
  breaker.admit('a')

  breaker.success('a')

  assert.ok(breaker.admit('a') && breaker.admit('a'))
})

test('the pause doubles with each failed probe, up to a minute', () => {
  const { breaker, clock } = clocked()
  const rests: number[] = []

  for (let failures = 0; failures < 9; failures += 1) {
    breaker.admit('a')
    breaker.failure('a')
    const restMs = breaker.restMs('a')
    rests.push(restMs)
    clock.ms += restMs
  }

  assert.deepEqual(
    rests,
    [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000),
  )
})

test('after a success the pause starts at a second again', () => {
  const { breaker, clock } = clocked()
  breaker.failure('a')
  clock.ms = 1_000
  breaker.admit('a')
  breaker.failure('a')
  breaker.success('a')

  breaker.failure('a')

  assert.equal(breaker.restMs('a'), 1_000)
})

test('jitter changes the pause by a quarter at most, and never beyond a minute', () => {
  const early = clocked(0).breaker
  const late = clocked(1).breaker

  early.failure('a')
  late.failure('a')

  assert.equal(early.restMs('a'), 750)
  assert.equal(late.restMs('a'), 1_250)
})

test('many failures at the same time count as one', () => {
  const { breaker } = clocked()

  for (let caller = 0; caller < 100; caller += 1) breaker.failure('a')

  assert.equal(breaker.restMs('a'), 1_000)
})

test('a probe that never reports gives its place up after ten seconds', () => {
  const { breaker, clock } = clocked()
  breaker.failure('a')
  clock.ms = 1_000
  breaker.admit('a')

  clock.ms = 10_999
  assert.ok(!breaker.admit('a'))
  clock.ms = 11_000
  assert.ok(breaker.admit('a'))
})

test('a registry that asks for a pause is parked for that long', () => {
  const { breaker, clock } = clocked()

  breaker.failure('a', { retryAfterMs: 30_000 })

  assert.ok(breaker.parkedMs('a') > 0)
  clock.ms = 29_999
  assert.ok(!breaker.admit('a'))
  clock.ms = 30_000
  assert.equal(breaker.parkedMs('a'), 0)
  assert.ok(breaker.admit('a'))
})

test('no registry is parked for more than an hour', () => {
  const { breaker } = clocked()

  breaker.failure('a', { retryAfterMs: 86_400_000 })

  assert.equal(breaker.restMs('a'), 3_600_000)
})

test('a success of what was under way does not end a pause that was asked for', () => {
  const { breaker } = clocked()
  breaker.failure('a', { retryAfterMs: 30_000 })

  breaker.success('a')
  breaker.failure('a')

  assert.ok(breaker.parkedMs('a') > 0)
})

test('a probe after a pause that succeeds closes it', () => {
  const { breaker, clock } = clocked()
  breaker.failure('a', { retryAfterMs: 30_000 })
  clock.ms = 30_000
  breaker.admit('a')

  breaker.success('a')

  assert.ok(breaker.admit('a') && breaker.admit('a'))
})

test('a broken registry is not a parked one', () => {
  const { breaker } = clocked()

  breaker.failure('a')

  assert.equal(breaker.parkedMs('a'), 0)
})

test('only the last two thousand failures are remembered', () => {
  const { breaker } = clocked()

  for (let index = 0; index <= 2_000; index += 1) breaker.failure(`registry-${index}`)

  assert.ok(breaker.admit('registry-0'))
  assert.ok(!breaker.admit('registry-1'))
})

test('its state goes from open over half-open to closed', () => {
  const { breaker, clock } = clocked()
  const states = [breaker.state('a')]

  breaker.failure('a')
  states.push(breaker.state('a'))
  clock.ms = 1_000
  states.push(breaker.state('a'))
  breaker.admit('a')
  states.push(breaker.state('a'))
  breaker.success('a')
  states.push(breaker.state('a'))

  assert.deepEqual(states, ['closed', 'open', 'half-open', 'half-open', 'closed'])
})

test('a pause is parked, then half-open', () => {
  const { breaker, clock } = clocked()

  breaker.failure('a', { retryAfterMs: 30_000 })

  assert.equal(breaker.state('a'), 'parked')
  clock.ms = 30_000
  assert.equal(breaker.state('a'), 'half-open')
})

test('failures are counted in a row', () => {
  const { breaker, clock } = clocked()

  breaker.failure('a')
  clock.ms = 1_000
  breaker.admit('a')
  breaker.failure('a')

  assert.equal(breaker.failures('a'), 2)
  assert.equal(breaker.failures('b'), 0)
  clock.ms = 3_000
  breaker.admit('a')
  breaker.success('a')
  assert.equal(breaker.failures('a'), 0)
})

test('an open breaker that is used is not evicted by a thousand others', () => {
  const breaker = new Breaker({ now: () => 0, random: () => 0.5 })
  breaker.failure('mirror.corp')

  for (let index = 0; index < 2_000; index += 1) {
    breaker.admit('mirror.corp')
    breaker.failure(`${index}.example`)
  }

  assert.equal(breaker.admit('mirror.corp'), false)
})
