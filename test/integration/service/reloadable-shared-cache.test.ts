import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../../src/concurrency/clock.ts'
import { ReloadableSharedCache } from '../../../src/service/reloadable-shared-cache.ts'
import { SharedMetrics } from '../../../src/telemetry/counters.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { loadText } from '../../support/config.ts'
import { requireRedis, startRedis } from '../../support/redis.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** Longer than any test. */
const FOREVER_MS = 3_600_000

function aSharedCache(t: TestContext) {
  const metrics = new SharedMetrics()
  const shared = new ReloadableSharedCache({
    scope: () => '',
    self: () => ({ version: '1.2.3', configuration: 'abc' }),
    metrics,
    clock: systemClock,
    steady: () => performance.now(),
    logger: silentLogger(),
  })
  t.after(() => shared.close())
  return { shared, metrics }
}

function configOf(url: string) {
  return loadText(`cache: {shared: {url: "${url}"}}\n`).config.cache.shared
}

test('a store is connected when its waiter goes on, and none is waited for where none is configured', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const { metrics, shared } = aSharedCache(t)

  await shared.ready(FOREVER_MS)
  void shared.use(configOf(redis.url))
  await shared.ready(FOREVER_MS)

  assert.equal(metrics.unused, 0)
})

test('a store that does not connect is waited for until its time is up, or it is closed', async (t) => {
  const { metrics, shared } = aSharedCache(t)
  void shared.use(configOf(`unix://${join(temporaryFolder(t), 'nothing.sock')}`))

  await shared.ready(1)
  const waiting = shared.ready(FOREVER_MS)
  await shared.close()
  await waiting

  assert.equal(metrics.unused, 1)
})
