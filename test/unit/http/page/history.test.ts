import assert from 'node:assert/strict'
import { test } from 'node:test'

const { momentsOf, plotsOf } = await import(
  new URL('../../../../src/http/page/history.js', import.meta.url).href
)

const AT = '2026-01-31T12:00:00.000Z'
const LAST = Date.parse(AT)
const HISTORY = { at: AT, everySeconds: 60 }

test('gives each value of the history its time, the last one that of the answer', () => {
  assert.deepEqual(momentsOf(HISTORY, [0.5, null, 1]), [
    { at: LAST - 120_000, values: [0.5] },
    { at: LAST - 60_000, values: [null] },
    { at: LAST, values: [1] },
  ])
})

test('shows every minute of a short history', () => {
  const { hitRate, latency } = plotsOf({
    ...HISTORY,
    resolutions: [4, 0],
    hitRate: [0.75, null],
    p50Ms: [3, null],
    p99Ms: [9, null],
  })

  assert.deepEqual(hitRate, [
    { at: LAST - 60_000, values: [0.75] },
    { at: LAST, values: [null] },
  ])
  assert.deepEqual(latency, [
    { at: LAST - 60_000, values: [3, 9] },
    { at: LAST, values: [null, null] },
  ])
})

test('takes minutes of a long one together: all their questions, and their slowest percentile', () => {
  const line = <T>(...last: T[]) => [...Array<null>(238).fill(null), ...last]

  const { hitRate, latency } = plotsOf({
    ...HISTORY,
    resolutions: line(1, 9).map((count) => count ?? 0),
    hitRate: line(1, 0),
    p50Ms: line(null, 4),
    p99Ms: line(null, 40),
  })

  assert.equal(hitRate.length, 120)
  assert.deepEqual(hitRate.at(-1), { at: LAST, values: [0.1] })
  assert.deepEqual(hitRate.at(-2), { at: LAST - 120_000, values: [null] })
  assert.deepEqual(latency.at(-1), { at: LAST, values: [4, 40] })
})

test('shows nothing of a history without a value', () => {
  const none = { resolutions: [], hitRate: [], p50Ms: [], p99Ms: [] }

  assert.deepEqual(plotsOf({ ...HISTORY, ...none }), { hitRate: [], latency: [] })
})
