import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countCalls } from '../../../src/cri/server.ts'
import { Metrics } from '../../../src/telemetry/counters.ts'

test('a call is counted by its method, whatever the version, and by the name of its code', () => {
  const { calls } = new Metrics()
  const count = countCalls(calls)

  count('/runtime.v1.ImageService/PullImage', 0)
  count('/runtime.v1alpha2.ImageService/PullImage', 0)
  count('/runtime.v1.RuntimeService/Status', 14)
  count('/imageresolver.v1.ImageResolver/ResolveImage', 5)

  assert.deepEqual(calls.rows(), [
    { labels: { method: 'ImageService/PullImage', code: 'OK' }, count: 2 },
    { labels: { method: 'RuntimeService/Status', code: 'UNAVAILABLE' }, count: 1 },
    { labels: { method: 'ImageResolver/ResolveImage', code: 'NOT_FOUND' }, count: 1 },
  ])
})

test('names and codes that clients and runtimes make up are kept as one each', () => {
  const { calls } = new Metrics()
  const count = countCalls(calls)

  for (let n = 17; n < 2_017; n += 1) count(`/made.Up/Method${n}`, n)
  count('', -1)
  count('__proto__', 2)

  assert.deepEqual(calls.rows(), [{ labels: { method: 'other', code: 'UNKNOWN' }, count: 2_002 }])
})
