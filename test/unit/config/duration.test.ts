import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, parseDuration } from '../../../src/config/values.ts'
import { ResolveError } from '../../../src/errors.ts'

const GOOD: readonly (readonly [string, number])[] = [
  ['0', 0],
  ['-0', 0],
  ['+0', 0],
  ['0s', 0],
  ['-0s', 0],
  ['15m', 900_000],
  ['+5s', 5000],
  ['1h30m', 5_400_000],
  ['1h15m30.918s', 4_530_918],
  ['1.5h', 5_400_000],
  ['.5s', 500],
  ['1.s', 1000],
  ['500ms', 500],
  ['1m500ms', 60_500],
  ['5m1h', 3_900_000],
  ['500us', 0.5],
  ['500\u00b5s', 0.5],
  ['500\u03bcs', 0.5],
  ['1500000ns', 1.5],
  ['2562047h47m16.854775807s', 9_223_372_036_854.775],
]

const BAD: readonly (readonly [string, RegExp])[] = [
  ['', /is not a duration; write 500ms, 30s, 15m or 1h30m/],
  ['s', /is not a duration/],
  ['.s', /is not a duration/],
  ['.', /is not a duration/],
  ['15', /"15" has no unit; write 15s, 15m or 15h/],
  ['1.5', /has no unit/],
  ['00', /has no unit/],
  ['1d', /is not a duration/],
  ['15 m', /is not a duration/],
  [' 15m', /is not a duration/],
  ['15m ', /is not a duration/],
  ['15M', /is not a duration/],
  ['1e3s', /is not a duration/],
  ['1h-5m', /is not a duration/],
  ['--1s', /is not a duration/],
  ['-1s', /"-1s" is negative/],
  ['2562047h47m16.854775808s', /is too long/],
  [`${'9'.repeat(60)}s`, /is too long/],
  [`${'1'.repeat(64)}s`, /this long/],
]

for (const [text, ms] of GOOD) {
  test(`a duration of ${text} is ${ms} ms`, () => {
    assert.equal(parseDuration(text), ms)
  })
}

for (const [text, message] of BAD) {
  test(`${JSON.stringify(text.slice(0, 30))} is refused as a duration`, () => {
    assert.throws(
      () => parseDuration(text),
      (thrown) =>
        thrown instanceof ResolveError &&
        thrown.code === 'CONFIG_INVALID' &&
        message.test(thrown.message),
    )
  })
}

test('a duration is printed in its largest units', () => {
  const printed = [0, 1, 500, 15_000, 60_000, 5_400_000, 90_061_001].map(formatDuration)

  assert.deepEqual(printed, ['0s', '1ms', '500ms', '15s', '1m', '1h30m', '25h1m1s1ms'])
})
