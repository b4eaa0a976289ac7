import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '../../../src/telemetry/counters.ts'
import { StatsLog } from '../../../src/telemetry/metering.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function scene(intervalMs: number) {
  const clock = new FakeClock()
  const metrics = new Metrics()
  const lines: unknown[] = []
  const logger = { info: (fields: unknown) => lines.push(fields) }
  const log = new StatsLog({ metrics, clock, intervalMs, logger })
  log.start()
  return { clock, lines, log, metrics }
}

test('what was resolved is logged at each interval in which something was', async () => {
  const { clock, lines, metrics } = scene(60_000)

  await clock.advance(60_000)
  metrics.resolutions.cache.record(1)
  metrics.resolutions.failed.record(1)
  await clock.advance(60_000)
  await clock.advance(600_000)
  metrics.resolutions.cache.record(1)
  await clock.advance(60_000)

  assert.deepEqual(lines, [
    { cache: 1, registry: 0, stale: 0, failed: 1 },
    { cache: 2, registry: 0, stale: 0, failed: 1 },
  ])
})

test('with an interval of 0 nothing is logged', async () => {
  const { clock, lines, metrics } = scene(0)

  metrics.resolutions.cache.record(1)
  await clock.advance(3_600_000)

  assert.deepEqual(lines, [])
  assert.equal(clock.pendingTimers, 0)
})

test('nothing is logged after the end', async () => {
  const { clock, lines, log, metrics } = scene(60_000)
  metrics.resolutions.cache.record(1)

  log.close()
  await clock.advance(60_000)

  assert.deepEqual(lines, [])
  assert.equal(clock.pendingTimers, 0)
})
