import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EntrySigner } from '../../../src/shared-cache/entry.ts'
import { RedisCache, type RedisCacheOptions } from '../../../src/shared-cache/redis-cache.ts'
import { SharedMetrics } from '../../../src/telemetry/counters.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const QUESTION = {
  reference: 'docker.io/library/nginx:1',
  platform: 'linux/amd64',
  isPlatformAsked: false,
  candidates: [],
  maxAgeMs: 5_000,
  negativeTtlMs: 10_000,
  keptMs: 60_000,
  credentials: [],
  waitMs: 1_000,
  signal: new AbortController().signal,
}

const EPOCH = '0'.repeat(40)

/** A cache on a store whose clock is told. */
function sceneOf(options: Partial<RedisCacheOptions> = {}) {
  const sent: string[] = []
  const logged: string[] = []
  const state = { now: 1_000_000, steady: 0 }
  const cache = new RedisCache({
    client: {
      script: async (name) => {
        sent.push(name)
        return name === 'look' ? [state.now, EPOCH, '', 'won'] : 1
      },
      get: async () => null,
      set: async () => {},
      delete: async () => true,
    },
    signer: new EntrySigner(Buffer.from('key')),
    scope: () => '',
    freshnessMs: 5_000,
    budgetMs: 50,
    metrics: new SharedMetrics(),
    clock: new FakeClock(),
    steady: () => state.steady,
    logger: { warn: (_fields: object, message: string) => void logged.push(message) } as never,
    ...options,
  })
  return { cache, logged, sent, state }
}

test('a store whose clock goes back, by which old answers look young, is passed over until it has caught up', async () => {
  const { cache, logged, sent, state } = sceneOf()
  await cache.lookup(QUESTION)
  state.steady += 10_000

  state.now += 4_000
  const back = await cache.lookup(QUESTION)
  await cache.lookup(QUESTION)

  assert.equal(back.answer, undefined)
  assert.deepEqual(sent, ['look', 'look', 'release', 'look', 'release'], 'claims were kept')
  assert.deepEqual(logged, ['the clock of the shared store went back'])

  state.now += 6_000
  await cache.lookup(QUESTION)

  assert.equal(sent.at(-1), 'look')
  await cache.close()
})

test('a clock that anything on the way could have set is not believed where it is far behind that of the node', async () => {
  const { cache, logged, sent, state } = sceneOf({ maxBehindMs: 300_000 })

  state.now -= 300_000
  await cache.lookup(QUESTION)
  assert.deepEqual(sent, ['look'])

  state.now -= 1
  await cache.lookup(QUESTION)
  await cache.lookup(QUESTION)

  assert.deepEqual(sent.slice(1), ['look', 'release', 'look', 'release'])
  assert.deepEqual(logged, ['the clock of the shared store is behind that of this node'])

  state.now += 7_200_000
  await cache.lookup(QUESTION)
  assert.equal(sent.at(-1), 'look')
  await cache.close()
})
