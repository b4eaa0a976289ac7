import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '../../../src/telemetry/counters.ts'
import { MetricsPage, type Readings } from '../../../src/telemetry/metrics.ts'

function readings(metrics: Metrics, fields: Partial<Readings> = {}): Readings {
  return {
    build: { version: '1.2.3', commit: 'abc' },
    metrics,
    cacheEvents: () => ({ hit: 3 }),
    cacheEntries: () => ({ where: 2 }),
    imagesInUse: () => undefined,
    registries: () => [],
    ...fields,
  }
}

test('the page counts resolutions by source, and buckets their durations in seconds', async () => {
  const metrics = new Metrics()
  metrics.resolutions.cache.record(0.02)
  metrics.resolutions.registry.record(30)

  const text = await new MetricsPage(readings(metrics)).text()

  assert.match(text, /^image_resolver_resolutions_total\{source="cache"\} 1$/m)
  assert.match(text, /^# TYPE image_resolver_resolution_seconds histogram$/m)
  assert.match(
    text,
    /^image_resolver_resolution_seconds_bucket\{source="registry",le="0.025"\} 0$/m,
  )
  assert.match(text, /^image_resolver_resolution_seconds_bucket\{source="registry",le="0.05"\} 1$/m)
  assert.match(
    text,
    /^image_resolver_resolution_seconds_bucket\{source="registry",le="\+Inf"\} 1$/m,
  )
  assert.match(text, /^image_resolver_resolution_seconds_sum\{source="registry"\} 0.03$/m)
  assert.match(text, /^image_resolver_resolution_seconds_count\{source="cache"\} 1$/m)
})

test('each scrape says what holds then, and counts nothing twice', async () => {
  const metrics = new Metrics()
  const page = new MetricsPage(readings(metrics))
  metrics.calls.add('PullImage', 'OK')
  await page.text()

  metrics.calls.add('PullImage', 'OK')
  const text = await page.text()

  assert.match(text, /^image_resolver_cri_calls_total\{method="PullImage",code="OK"\} 2$/m)
  assert.match(text, /^image_resolver_cache_events_total\{event="hit"\} 3$/m)
  assert.match(text, /^image_resolver_cache_entries\{kind="where"\} 2$/m)
})

test('the state of a registry is one of four, and what it does not say is absent', async () => {
  const registries = () => [
    { registry: 'sealos.hub:5000', state: 'open', remaining: undefined },
    { registry: 'docker.io', state: 'closed', remaining: 98 },
  ]

  const text = await new MetricsPage(readings(new Metrics(), { registries })).text()

  assert.match(
    text,
    /^image_resolver_registry_state\{registry="sealos.hub:5000",state="open"\} 1$/m,
  )
  assert.match(
    text,
    /^image_resolver_registry_state\{registry="sealos.hub:5000",state="closed"\} 0$/m,
  )
  assert.match(text, /^image_resolver_registry_requests_left\{registry="docker.io"\} 98$/m)
  assert.doesNotMatch(text, /requests_left\{registry="sealos/)
})
