import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ImageRequest } from '../../../src/registry/image.ts'
import { meterRequests, meterResolutions } from '../../../src/service/metering.ts'
import { Metrics } from '../../../src/telemetry/counters.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'

const EXCHANGE = { method: 'GET', url: 'https://hub.corp/v2/', status: 200, ms: 3 } as const

function request(configured: boolean, heard: unknown[]): ImageRequest {
  return {
    endpoint: { scheme: 'https', host: 'hub.corp', prefix: '' },
    repository: 'app',
    reference: '1',
    configured,
    signal: new AbortController().signal,
    observe: (exchange) => heard.push(exchange),
  }
}

test('requests are counted by registry, logged for who debugs, and told to whoever listened before', () => {
  const metrics = new Metrics()
  const heard: unknown[] = []
  const logged: unknown[] = []
  const logger = { debug: (...line: unknown[]) => logged.push(line) } as never

  meterRequests(metrics, logger)(request(true, heard)).observe?.(EXCHANGE)

  assert.deepEqual(metrics.exchanges.rows(), [
    { labels: { registry: 'hub.corp', method: 'GET', status: '200' }, count: 1 },
  ])
  assert.deepEqual(heard, [EXCHANGE])
  assert.deepEqual(logged, [[EXCHANGE, 'asked a registry']])
})

test('what a configured registry warns of is logged once, and not without an end', () => {
  const logged: unknown[] = []
  const logger = { debug: () => {}, warn: (...line: unknown[]) => logged.push(line) } as never
  const metered = meterRequests(new Metrics(), logger)
  const asked = metered(request(true, []))

  asked.observe?.({ ...EXCHANGE, warning: 'it moves' })
  metered(request(true, [])).observe?.({ ...EXCHANGE, warning: 'it moves' })
  metered(request(false, [])).observe?.({ ...EXCHANGE, warning: 'from a stranger' })
  assert.deepEqual(logged, [
    [{ registry: 'hub.corp', warning: 'it moves' }, 'a registry has a warning'],
  ])

  for (let at = 0; at < 100; at += 1) asked.observe?.({ ...EXCHANGE, warning: `at ${at}` })
  assert.equal(logged.length, 10)
})

test('registries that strangers choose are counted together', () => {
  const metrics = new Metrics()
  const logger = { debug: () => {} } as never
  const { status: _, ...unanswered } = EXCHANGE

  meterRequests(metrics, logger)(request(false, [])).observe?.(unanswered)

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
