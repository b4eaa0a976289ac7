import assert from 'node:assert/strict'
import { test } from 'node:test'
import { warningOf } from '../../../src/registry/response-headers.ts'

const ROWS: readonly [value: string | undefined, text: string | undefined][] = [
  [undefined, undefined],
  ['299 - "this repository moves"', 'this repository moves'],
  ['299 - "a \\"quoted\\" word"', 'a "quoted" word'],
  ['299 - "one", 299 corp "two"', 'one; two'],
  ['299 - "one", 299 - "one", 299 - "two"', 'one; two'],
  ['110 - "stale"', undefined],
  ['110 - "stale", 299 - "moves"', 'moves'],
  ['299 - unquoted', undefined],
  ['299 - ""', undefined],
  ['299 - "see https://x.corp/a?token=secret"', 'see https://x.corp/a'],
]

for (const [value, text] of ROWS) {
  test(`of the header Warning: ${JSON.stringify(value)} the text is ${JSON.stringify(text)}`, () => {
    const headers = value === undefined ? {} : { warning: value }

    assert.equal(warningOf(headers), text)
  })
}

test('a long warning is cut', () => {
  const text = warningOf({ warning: `299 - "${'x'.repeat(10_000)}"` })

  assert.equal(text, 'x'.repeat(200))
})
