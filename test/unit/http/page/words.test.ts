import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Attempt } from '../../../../api/v1/candidate.ts'

const { duration, outcomes, percent, shorten, size, span, steps } = await import(
  new URL('../../../../src/http/page/words.js', import.meta.url).href
)

test('shortens digests wherever they stand, and nothing else', () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`

  assert.equal(
    shorten(`quay.io/team/app@${digest}`),
    'quay.io/team/app@sha256:0123456789ab…89abcdef',
  )
  assert.equal(
    shorten('quay.io/team/application-of-the-finance-department:2026.1'),
    'quay.io/team/application-of-the-finance-department:2026.1',
  )
})

test('tells times in the unit that fits', () => {
  const told = [0.004, 0.4, 12.4, 999.4, 1_500, 75_000].map(duration)

  assert.deepEqual(told, ['4 µs', '0.4 ms', '12 ms', '999 ms', '1.5 s', '75 s'])
})

test('tells long times without more digits than anybody reads', () => {
  const told = [9.96, 119, 7_000, 100_000, 864_000].map(span)

  assert.deepEqual(told, ['10.0 s', '119 s', '117 min', '28 h', '10 days'])
})

test('tells sizes as people do', () => {
  const told = [0, 999, 1_000, 29_360_128, 1_500_000_000].map(size)

  assert.deepEqual(told, ['0 B', '999 B', '1.0 KiB', '28.0 MiB', '1.4 GiB'])
})

test('never rounds a miss away', () => {
  assert.deepEqual([null, 0, 0.5, 0.9999, 1].map(percent), ['–', '0 %', '50 %', '99.9 %', '100 %'])
})

test('has words for every outcome and every step', () => {
  const { outcome, step } = Attempt.properties

  assert.deepEqual(Object.keys(outcomes).sort(), [...outcome.enum].sort())
  assert.deepEqual(Object.keys(steps).sort(), [...step.enum].sort())
})
