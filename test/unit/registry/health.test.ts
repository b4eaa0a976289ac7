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
})

test('a failure is reported with its reason, and when the next request passes', () => {
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

test('after the pause one caller is admitted, and a success closes it', () => {
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

test('a clock that is set back does not make a pause longer', () => {
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

test('the last thousand registries are remembered', () => {
  const { health } = clocked()
  health.success('first')

  for (let index = 0; index < 999; index += 1) health.success(`registry-${index}`)
  health.success('first')
  health.success('one more')

  const isKnown = (name: string) => health.report(name).lastSuccessAt !== undefined
  assert.ok(['first', 'registry-1', 'registry-998', 'one more'].every(isKnown))
  assert.ok(!isKnown('registry-0'))
})

test('what one repository does wrong closes it for that one, and for the others puts it on trial', () => {
  const { health } = clocked()

  health.failure('a', { code: 'UNAVAILABLE', message: 'a: 500', repository: 'weird' })

  assert.ok(!health.admit('a', 'weird'))
  assert.ok(health.admit('a', 'app') && health.admit('a', 'app'))
  assert.ok(health.onTrial('a', 'app'))
  const { failures, state } = health.report('a')
  assert.deepEqual({ failures, state }, { failures: 1, state: 'half-open' })
})

test('repeated requests for one broken name never open the breaker of the registry', () => {
  const { health, pass } = clocked()

  for (let second = 0; second < 600; second += 1) {
    if (health.admit('a', 'weird')) health.failure('a', { repository: 'weird' })
    assert.ok(health.admit('a', 'app'), `after ${second} s`)
    pass(1_000)
  }

  assert.ok(health.admit('a', 'app'))
})

test('after an answer the registry is closed, and the broken repository still open', () => {
  const { health, pass } = clocked()
  health.failure('a', { repository: 'weird' })

  health.success('a', { ms: 5, repository: 'app' })

  assert.equal(health.report('a').state, 'closed')
  assert.ok(!health.onTrial('a', 'app'))
  assert.deepEqual([health.isResting('a', 'weird'), health.isResting('a', 'app')], [true, false])
  pass(1_000)
  assert.ok(health.admit('a', 'weird'))
  assert.ok(health.onTrial('a', 'weird'))
  assert.ok(!health.admit('a', 'weird'))
})

test('three repositories that fail in a row close a registry, an answer in between opens it', () => {
  const { health } = clocked()
  const fail = (repository: string): void => health.failure('a', { repository })

  fail('one')
  fail('two')
  health.success('a', { repository: 'four' })
  fail('three')
  const between = health.admit('a', 'five')
  fail('one')
  fail('two')

  assert.ok(between)
  assert.ok(!health.admit('a', 'five'))
  assert.equal(health.report('a').state, 'open')
})

test('a registry that could not be reached and then fails for one name is not kept closed by that', () => {
  const { health, pass } = clocked()
  health.failure('a', { code: 'UNAVAILABLE', message: 'connection refused' })
  pass(1_000)

  const probe = health.admit('a', 'weird')
  health.failure('a', { repository: 'weird' })

  assert.ok(probe)
  assert.ok(health.admit('a', 'app'))
})

test('a registry that fails for everything has a longer pause each time', () => {
  const { health, pass } = clocked()
  for (const repository of ['one', 'two', 'three']) health.failure('a', { repository })
  pass(1_000)

  assert.ok(health.admit('a', 'four'))
  health.failure('a', { repository: 'four' })

  assert.equal(health.report('a').openUntil, EPOCH + 1_000 + 2_000)
})

test('a pause that was asked for is for everything', () => {
  const { health } = clocked()

  health.failure('a', { retryAfterMs: 30_000, repository: 'app' })

  assert.ok(!health.admit('a', 'other'))
  assert.equal(health.report('a').state, 'parked')
})

test('a look at the state does not take the place of the probe', () => {
  const { health, pass } = clocked()
  health.failure('a')
  const resting = health.isResting('a', 'app')
  pass(1_000)

  assert.ok(resting)
  assert.ok(!health.isResting('a', 'app'))
  assert.ok(health.admit('a', 'app'))
})

test('of a registry that failed it is known whether it was silent', () => {
  const health = new RegistryHealth({ now: () => 0, steady: () => 0 })

  health.failure('silent', { code: 'DEADLINE_EXCEEDED', repository: 'app' })
  health.failure('dead', { code: 'DEADLINE_EXCEEDED', repository: 'app' })
  health.failure('dead', { code: 'UNAVAILABLE', repository: 'app' })

  assert.deepEqual(
    ['silent', 'dead', 'unheard'].map((name) => health.isSilent(name)),
    [true, false, false],
  )
})

test('no more failing repositories are counted than are enough, and an answer ends it for that registry alone', () => {
  const { health } = clocked()
  for (let index = 0; index < 1_000; index += 1) {
    health.failure('a', { repository: `app-${index % 500}` })
    if (index < 2) health.failure('b', { repository: `app-${index}` })
  }
  const failures = [health.report('a').failures, health.report('b').failures]

  health.success('a', { repository: 'app' })

  assert.deepEqual(failures, [3, 2])
  assert.deepEqual([health.onTrial('a', 'x'), health.onTrial('b', 'x')], [false, true])
})
