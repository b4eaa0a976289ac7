import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryAfterMs } from '../../../src/registry/response-headers.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')

const VALUES: readonly [value: string | undefined, ms: number][] = [
  ['30', 30_000],
  [' 0 ', 0],
  ['0.5', 500],
  ['10.5', 10_500],
  ['.25', 250],
  ['+5', 5_000],
  ['-1', 0],
  ['-0.5', 0],
  ['880.092µs', 0.880_092],
  ['1.16676ms', 1.166_76],
  ['1m30.5s', 90_500],
  ['30s', 30_000],
  ['2h', 3_600_000],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
  ['Thu Jan  1 00:01:00 2026', 60_000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['2026-01-01T00:00:30Z', 30_000],
  ['999999999', 3_600_000],
  [String(NOW / 1_000 + 45), 45_000],
  ['9'.repeat(400), 3_600_000],
  ['soon', 10_000],
  ['soon 1', 10_000],
  ['-5x', 10_000],
  ['1.2.3', 10_000],
  ['5 minutes', 10_000],
  ['', 10_000],
  [undefined, 10_000],
]

for (const [value, ms] of VALUES) {
  test(`Retry-After ${JSON.stringify(value?.slice(0, 40))} is a wait of ${ms} ms`, () => {
    const waits = retryAfterMs(value === undefined ? {} : { 'retry-after': value }, NOW)
    assert.ok(Math.abs(waits - ms) < 1e-6, `${waits} ms`)
  })
}

test('a rate limit that is used up is a wait of 15 minutes where nothing else is said', () => {
  assert.equal(retryAfterMs({ 'ratelimit-remaining': '0;w=21600' }, NOW), 900_000)
  assert.equal(retryAfterMs({ 'ratelimit-remaining': '0;w=21600', 'retry-after': '5' }, NOW), 5_000)
  assert.equal(retryAfterMs({ 'ratelimit-remaining': '3;w=21600' }, NOW), 10_000)
})

test("Docker Hub's X-Retry-After is the second from which it may be asked again", () => {
  const seconds = String(NOW / 1_000 + 90)

  assert.equal(retryAfterMs({ 'x-retry-after': seconds }, NOW), 90_000)
  assert.equal(retryAfterMs({ 'x-retry-after': seconds, 'retry-after': 'soon' }, NOW), 90_000)
})

test('what the body says counts where no header says it', () => {
  const told = 'retry-after: 880.092µs, allowed: 44000/minute'

  assert.ok(Math.abs(retryAfterMs({}, NOW, told) - 0.880_092) < 1e-6)
  assert.equal(retryAfterMs({}, NOW, 'toomanyrequests: Retry-After: 2.5s'), 2_500)
  assert.equal(retryAfterMs({}, NOW, 'retry-after: 7'), 7_000)
  assert.equal(retryAfterMs({}, NOW, 'retry-after: later, please'), 10_000)
  assert.equal(retryAfterMs({}, NOW, 'slow down'), 10_000)
  assert.equal(retryAfterMs({ 'retry-after': '3' }, NOW, told), 3_000)
})

test('a wait is read the same in every time zone', (t) => {
  const before = process.env['TZ']
  t.after(() => {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  })
  process.env['TZ'] = 'Asia/Tokyo'

  assert.equal(retryAfterMs({ 'retry-after': 'Thu Jan  1 00:01:00 2026' }, NOW), 60_000)
})
