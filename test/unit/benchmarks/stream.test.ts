import assert from 'node:assert/strict'
import { test } from 'node:test'
import { questionStream, type StreamOptions } from '../../../benchmarks/cache/stream.ts'

const OPTIONS: StreamOptions = {
  questions: 20_000,
  images: 100,
  s: 1,
  everyMs: 1_000,
  deploymentEveryMs: 3_600_000,
  fadeMs: 600_000,
  seed: 1,
}

test('time goes on, at the pace that was asked for', () => {
  const { times } = questionStream(OPTIONS)

  assert.ok(times.every((time, index) => time > (times[index - 1] ?? -1)))
  const mean = (times.at(-1) ?? 0) / times.length
  assert.ok(Math.abs(mean - OPTIONS.everyMs) < 50, `${mean} ms`)
})

test('without deployments the tags stay the same', () => {
  const { tags } = questionStream({ ...OPTIONS, deploymentEveryMs: Number.POSITIVE_INFINITY })

  assert.ok(tags.every((tag) => tag < OPTIONS.images))
})

test('a deployed tag is new, and the one before it fades away', () => {
  const { tags, times } = questionStream({ ...OPTIONS, images: 1 })

  const lastOld = tags.lastIndexOf(0)
  const firstNew = tags.indexOf(1)
  assert.ok(firstNew > 0 && firstNew < lastOld, 'both are asked for at one time')
  assert.ok((times[lastOld] ?? 0) - (times[firstNew] ?? 0) <= OPTIONS.fadeMs)
})
