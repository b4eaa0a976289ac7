import assert from 'node:assert/strict'
import { test } from 'node:test'

const { History } = await import(
  new URL('../../../../src/http/page/history.js', import.meta.url).href
)

test('tells the hit rate of the last minute, not since the start', () => {
  const history = new History()

  history.add(0, stats({ cache: 900, registry: 100, uptimeSeconds: 100 }), [])
  history.add(5_000, stats({ cache: 900, registry: 100, uptimeSeconds: 105 }), [])
  history.add(10_000, stats({ cache: 901, registry: 103, uptimeSeconds: 110 }), [])

  assert.deepEqual(history.hitRates(), [
    { at: 0, values: [null] },
    { at: 5_000, values: [null] },
    { at: 10_000, values: [0.25] },
  ])
})

test('forgets what the service counted before it was started anew', () => {
  const history = new History()

  history.add(0, stats({ cache: 900, registry: 100, uptimeSeconds: 100 }), [])
  history.add(5_000, stats({ cache: 1, registry: 1, uptimeSeconds: 2 }), [])

  assert.deepEqual(history.hitRates(), [{ at: 5_000, values: [null] }])
})

test('keeps five minutes, of the registries too, and only of those that are there', () => {
  const history = new History()
  const registry = (name: string, latencyMs: number) => ({ name, latencyMs })

  history.add(0, stats({}), [registry('a', 1), registry('b', 2)])
  history.add(200_000, stats({}), [registry('a', 3)])
  history.add(400_000, stats({}), [registry('a', 4)])

  assert.equal(history.resolving().length, 2)
  assert.deepEqual(
    [...history.latencies],
    [
      [
        'a',
        [
          { at: 200_000, values: [3] },
          { at: 400_000, values: [4] },
        ],
      ],
    ],
  )
})

function stats({ cache = 0, registry = 0, uptimeSeconds = 1 }) {
  return {
    uptimeSeconds,
    resolutions: { cache, registry, stale: 0, failed: 0 },
    latencies: [{ source: 'registry', count: registry, p50Ms: 12, p99Ms: 40 }],
  }
}
