import assert from 'node:assert/strict'
import { test } from 'node:test'

const { path, windowOf } = await import(
  new URL('../../../../src/http/page/plot.js', import.meta.url).href
)

test('shows an hour of a new service, and a day of one that runs for longer', () => {
  const names = [1, 60, 61, 200, 361, 1_441].map((length) => {
    const [ms, name] = windowOf([{ at: 0 }, { at: (length - 1) * 60_000 }])
    assert.ok(ms >= (length - 1) * 60_000)
    return name.replace('over the last ', '')
  })

  assert.deepEqual(names, ['hour', 'hour', 'hour', 'six hours', 'six hours', 'day'])
  assert.equal(windowOf([])[1], 'over the last hour')
})

test('draws a gap where nothing was measured, and a point that stands alone', () => {
  const same = (value: number) => value
  const moments = [0, 60_000, 300_000].map((at) => ({ at, values: [1, null] }))

  assert.equal(path(moments, 0, same, same), 'M0.0 1.0h0L60000.0 1.0M300000.0 1.0h0')
  assert.equal(path(moments, 1, same, same), '')
})
