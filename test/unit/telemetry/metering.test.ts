import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '../../../src/telemetry/counters.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { logStats, meterExchanges, meterResolutions } from '../../../src/telemetry/metering.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const EXCHANGE = { method: 'GET', url: 'https://hub.corp/v2/', status: 200, ms: 3 } as const

test('requests are counted by registry, and logged with `debug`', () => {
  const metrics = new Metrics()
  const logged: unknown[] = []
  const logger = { debug: (...line: unknown[]) => logged.push(line) } as never

  meterExchanges(metrics, logger)(EXCHANGE, 'hub.corp')

  assert.deepEqual(metrics.exchanges.rows(), [
    { labels: { registry: 'hub.corp', method: 'GET', status: '200' }, count: 1 },
  ])
  assert.deepEqual(logged, [[EXCHANGE, 'asked a registry']])
})

test('warnings of a configured registry are logged once, and ten of them at most', () => {
  const logged: unknown[] = []
  const logger = { debug: () => {}, warn: (...line: unknown[]) => logged.push(line) } as never
  const meter = meterExchanges(new Metrics(), logger)

  meter({ ...EXCHANGE, warning: 'it moves' }, 'hub.corp')
  meter({ ...EXCHANGE, warning: 'it moves' }, 'hub.corp')
  meter({ ...EXCHANGE, warning: 'not configured' }, undefined)
  assert.deepEqual(logged, [
    [{ registry: 'hub.corp', warning: 'it moves' }, 'a registry has a warning'],
  ])

  for (let at = 0; at < 100; at += 1) meter({ ...EXCHANGE, warning: `at ${at}` }, 'hub.corp')
  assert.equal(logged.length, 10)
})

test('registries that are not configured are counted together', () => {
  const metrics = new Metrics()
  const logger = { debug: () => {} } as never
  const { status: _, ...unanswered } = EXCHANGE

  meterExchanges(metrics, logger)(unanswered, undefined)

  assert.deepEqual(metrics.exchanges.rows()[0]?.labels, {
    registry: 'unconfigured',
    method: 'GET',
    status: 'none',
  })
})

test('a tag that leads elsewhere at another registry is counted and logged with both digests', () => {
  const metrics = new Metrics()
  const logged: unknown[] = []
  const observer = meterResolutions(metrics, { warn: (...line: unknown[]) => logged.push(line) })
  const divergence = {
    reference: 'docker.io/library/nginx:1',
    chosen: { registry: 'm1', digest: 'sha256:a' },
    other: { registry: 'docker.io', digest: 'sha256:b' },
  }

  observer.diverged?.(divergence)

  assert.equal(metrics.divergences, 1)
  assert.deepEqual(logged, [[divergence, 'registries name different digests by one tag']])
})

test('resolutions are counted by their source, failures by their code', () => {
  const metrics = new Metrics()
  const observer = meterResolutions(metrics, silentLogger())

  observer.resolved('registry', 12, true)
  observer.resolved('cache', 0.01, false)
  observer.failed('UNAVAILABLE', 2_000)

  assert.equal(metrics.resolutions.registry.count, 1)
  assert.equal(metrics.resolutions.cache.count, 1)
  assert.equal(metrics.failovers, 1)
  assert.deepEqual(metrics.failures.rows(), [{ labels: { code: 'UNAVAILABLE' }, count: 1 }])
})

function scene(intervalMs: number) {
  const clock = new FakeClock()
  const metrics = new Metrics()
  const lines: unknown[] = []
  const logger = { info: (fields: unknown) => lines.push(fields) }
  const end = logStats({ metrics, clock, intervalMs, logger })
  return { clock, end, lines, metrics }
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
    { cache: 1, shared: 0, registry: 0, stale: 0, failed: 1 },
    { cache: 2, shared: 0, registry: 0, stale: 0, failed: 1 },
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
  const { clock, end, lines, metrics } = scene(60_000)
  metrics.resolutions.cache.record(1)

  end()
  await clock.advance(60_000)

  assert.deepEqual(lines, [])
  assert.equal(clock.pendingTimers, 0)
})
