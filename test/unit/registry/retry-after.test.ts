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
