import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '../../../src/telemetry/counters.ts'
import { StatsHistory } from '../../../src/telemetry/history.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const MINUTE_MS = 60_000

function scene() {
  const clock = new FakeClock()
  const { resolutions } = new Metrics()
  const registries: { name: string; latencyMs?: number }[] = []
  const history = new StatsHistory({ resolutions, registries: () => registries, clock })
  history.start()
  return { clock, history, registries, resolutions }
}

test('a minute has the hit rate and the percentiles of that minute, not since the start', async () => {
  const { clock, history, resolutions } = scene()

  for (let i = 0; i < 9; i += 1) resolutions.cache.record(0.01)
  resolutions.registry.record(2_000)
  await clock.advance(MINUTE_MS)
  resolutions.shared.record(1)
  resolutions.registry.record(30)
  resolutions.stale.record(30)
  resolutions.failed.record(30)
  await clock.advance(MINUTE_MS)

  const { hitRate, p50Ms, p99Ms, resolutions: asked } = history.report()
  assert.deepEqual(asked, [10, 4, 0])
  assert.deepEqual(hitRate, [0.9, 0.25, null])
  assert.ok(Number(p99Ms[0]) > 1_000 && Number(p99Ms[1]) <= 50, String(p99Ms))
  assert.ok(Number(p50Ms[1]) >= 25 && p50Ms[2] === null, String(p50Ms))
})

test('the minute that runs is the last value, so that a new service has one', () => {
  const { clock, history, resolutions } = scene()

  resolutions.cache.record(0.01)

  const { at, everySeconds, hitRate } = history.report()
  assert.deepEqual(hitRate, [1])
  assert.equal(at, new Date(clock.now()).toISOString())
  assert.equal(everySeconds, 60)
})

test('a day is kept of the service and an hour of each registry, however long it runs', async () => {
  const { clock, history, registries, resolutions } = scene()
  registries.push({ name: 'harbor.corp', latencyMs: 0 })

  for (let minute = 1; minute <= 1_500; minute += 1) {
    if (minute % 2 === 0) resolutions.cache.record(1)
    registries[0] = { name: 'harbor.corp', latencyMs: minute }
    await clock.advance(MINUTE_MS)
  }

  const { hitRate, p50Ms, registries: told } = history.report()
  assert.equal(hitRate.length, 1_441)
  assert.deepEqual(hitRate.slice(-4), [1, null, 1, null])
  assert.equal(p50Ms.length, 1_441)
  assert.equal(told[0]?.latencyMs.length, 61)
  assert.deepEqual([told[0]?.latencyMs[0], told[0]?.latencyMs.at(-1)], [1_441, 1_500])
})

test('only registries that are configured now are told of, without what they were not there for', async () => {
  const { clock, history, registries } = scene()

  registries.push({ name: 'a', latencyMs: 1 }, { name: 'b', latencyMs: 2 })
  await clock.advance(MINUTE_MS)
  registries.splice(0, 2, { name: 'a', latencyMs: 3 }, { name: 'c' })
  await clock.advance(MINUTE_MS)
  registries.push({ name: 'b', latencyMs: 4 })
  await clock.advance(MINUTE_MS)

  assert.deepEqual(history.report().registries, [
    { name: 'a', latencyMs: [1, 3, 3, 3] },
    { name: 'c', latencyMs: [null, null, null, null] },
    { name: 'b', latencyMs: [null, null, 4, 4] },
  ])
})

test('minutes in which the machine slept are there without a value', async () => {
  const { clock, history, resolutions } = scene()
  const asleep = { now: clock.now(), ring: () => {} }
  const late = new StatsHistory({
    resolutions,
    registries: () => [{ name: 'a', latencyMs: 5 }],
    clock: {
      now: () => asleep.now,
      after: (_ms, ring) => {
        asleep.ring = ring
        return () => {}
      },
    },
  })
  late.start()
  history.close()

  resolutions.cache.record(1)
  asleep.now += MINUTE_MS
  asleep.ring()
  asleep.now += 3 * MINUTE_MS
  asleep.ring()
  const slept = late.report()
  asleep.now -= 100 * MINUTE_MS
  asleep.ring()
  asleep.now += 1e9 * MINUTE_MS
  asleep.ring()

  assert.deepEqual(slept.hitRate, [1, null, null, null, null])
  assert.deepEqual(slept.registries[0]?.latencyMs, [5, null, null, 5, 5])
  assert.equal(late.report().hitRate.length, 1_441)
})

test('nothing is measured any more when it is closed', () => {
  const { clock, history } = scene()

  history.close()

  assert.equal(clock.pendingTimers, 0)
})
