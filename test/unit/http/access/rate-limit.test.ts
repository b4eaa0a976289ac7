import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimit } from '../../../../src/http/access/rate-limit.ts'

test("a minute's worth is let through at once, then one as each drips in", () => {
  let now = 0
  const limit = new RateLimit(60, () => now)
  const burst = Array.from({ length: 60 }, () => limit.take('10.0.0.1'))

  const refused = limit.take('10.0.0.1')
  now += 1_000
  const later = [limit.take('10.0.0.1'), limit.take('10.0.0.1')]

  assert.ok(burst.every((waitMs) => waitMs === 0))
  assert.equal(refused, 1_000)
  assert.deepEqual(later, [0, 1_000])
})

test('being refused costs nothing', () => {
  let now = 0
  const limit = new RateLimit(1, () => now)
  limit.take('a')
  for (let count = 0; count < 10; count += 1) limit.take('a')

  now += 60_000

  assert.equal(limit.take('a'), 0)
})

test('a clock that is set back locks nobody out for longer', () => {
  let now = 10_000_000
  const limit = new RateLimit(1, () => now)
  limit.take('a')

  now -= 5_000_000
  limit.take('a')
  now += 60_000

  assert.equal(limit.take('a'), 0)
})

const neighbours: readonly (readonly [string | undefined, string | undefined, boolean])[] = [
  ['10.0.0.1', '10.0.0.2', false],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
  ['2001:db8:1:2:3::1', '2001:db8:1:2:ffff::9', true],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:7:8:9:a', true],
  ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ['::1', '2001:db8::1', false],
  [undefined, undefined, true],
]

for (const [one, other, same] of neighbours) {
  test(`${one} and ${other} ${same ? 'share' : 'do not share'} a bucket`, () => {
    const limit = new RateLimit(1, () => 0)
    limit.take(one)

    assert.equal(limit.take(other) > 0, same)
  })
}

test('only so many clients are remembered, the last ones', () => {
  const limit = new RateLimit(1, () => 0)
  for (let client = 0; client < 10_001; client += 1) limit.take(`client-${client}`)

  assert.ok(limit.take('client-1') > 0)
  assert.equal(limit.take('client-0'), 0)
})
