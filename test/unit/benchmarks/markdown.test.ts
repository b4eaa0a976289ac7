import assert from 'node:assert/strict'
import { test } from 'node:test'
import { budgetText, digits, tableText } from '../../../benchmarks/markdown.ts'

for (const [value, text] of [
  [0, '0'],
  [0.021_34, '0.021'],
  [1, '1'],
  [2.5, '2.5'],
  [12.34, '12.3'],
  [999.6, '1,000'],
  [1_234_567, '1,234,567'],
  [-12.1, '-12.1'],
  [Number.NaN, '-'],
] as const) {
  test(`${value} is written ${text}`, () => {
    assert.equal(digits(value), text)
  })
}

test('a table has a cell for each column, rounds with both ends', () => {
  const text = tableText({
    columns: ['what', 'ms'],
    rows: [
      ['a|b', { median: 2, min: 1, max: 3 }],
      ['one round', { median: 5, min: 5, max: 5 }],
    ],
  })

  assert.equal(text, '| what | ms |\n|---|---|\n| a\\|b | 2 (1 to 3) |\n| one round | 5 |\n')
})

test('a budget is kept at its very bound, and missed beyond it, in either direction', () => {
  const base = { unit: 'ms', budget: 5 }
  const text = budgetText([
    { ...base, what: 'a', bound: 'at most', measured: 5 },
    { ...base, what: 'b', bound: 'at most', measured: 5.1 },
    { ...base, what: 'c', bound: 'at least', measured: 5 },
    { ...base, what: 'd', bound: 'at least', measured: 4.9 },
    { ...base, what: 'e', bound: 'at most', measured: Number.NaN },
  ])

  const verdicts = [...text.matchAll(/^\| ([a-e]) .* (kept|MISSED) \|$/gm)]
  assert.deepEqual(
    verdicts.map(([, what, verdict]) => `${what} ${verdict}`),
    ['a kept', 'b MISSED', 'c kept', 'd MISSED', 'e MISSED'],
  )
})

test('of several runs the median is judged and shown, with the lowest and the highest', () => {
  const base = { unit: 'ms', budget: 5, bound: 'at most' } as const
  const text = budgetText([
    { ...base, what: 'a', measured: 6, runs: [4, 5, 6] },
    { ...base, what: 'b', measured: 4, runs: [4, 5.5, 6] },
  ])

  assert.match(text, /^\| a \| at most 5 ms \| 5 \(4 to 6\) \| kept \|$/m)
  assert.match(text, /^\| b \| at most 5 ms \| 5\.5 \(4 to 6\) \| MISSED \|$/m)
})
