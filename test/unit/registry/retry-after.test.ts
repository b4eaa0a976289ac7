import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryAfterMs } from '../../../src/registry/retry-after.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')

const VALUES: readonly [value: string | undefined, ms: number][] = [
  ['30', 30_000],
  [' 0 ', 0],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['999999999', 3_600_000],
  ['soon', 10_000],
  ['-5x', 10_000],
  ['', 10_000],
  [undefined, 10_000],
]

for (const [value, ms] of VALUES) {
  test(`Retry-After ${JSON.stringify(value)} is a wait of ${ms} ms`, () => {
    assert.equal(retryAfterMs(value === undefined ? {} : { 'retry-after': value }, NOW), ms)
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
})
