import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatMs,
  formatShare,
  formatSize,
  formatSpan,
  formatTime,
} from '../../../src/cli/quantity.ts'

test('sizes are in IEC units with at most four digits', () => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 KiB'],
    [1_234_567, '1.2 MiB'],
    [104_810_000, '100 MiB'],
    [104_857_600, '100 MiB'],
    [1_048_051_712, '1.0 GiB'],
    [2 ** 50, '1.0 PiB'],
    [2 ** 60, '1024 PiB'],
  ]
  for (const [bytes, expected] of sizes) assert.equal(formatSize(bytes), expected)
})

test('milliseconds are in the unit in which they are read', () => {
  const times: readonly (readonly [number | null, string])[] = [
    [null, '-'],
    [0, '1 µs'],
    [0.004, '4 µs'],
    [0.0999, '0.1 ms'],
    [9.96, '10 ms'],
    [412.3, '412 ms'],
    [1_234, '1.2 s'],
  ]
  for (const [ms, expected] of times) assert.equal(formatMs(ms), expected)
})

test('a span has its two largest units', () => {
  const spans: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [59.6, '1 min'],
    [125, '2 min 5 s'],
    [3_600, '1 h'],
    [3_605, '1 h'],
    [100_000, '1 d 3 h'],
  ]
  for (const [seconds, expected] of spans) assert.equal(formatSpan(seconds), expected)
})

test('shares are per cent, times to the second, and what is not known a dash', () => {
  assert.equal(formatShare(0.5), '50.0 %')
  assert.equal(formatShare(null), '-')
  assert.equal(formatTime('2026-01-31T12:00:00.123Z'), '2026-01-31 12:00:00Z')
  assert.equal(formatTime(null), '-')
})
