import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { quote } from '../../../src/reference/quote.ts'

describe('quote', () => {
  for (const [text, expected] of [
    ['nginx:1', '"nginx:1"'],
    ['say "hi" \\', '"say \\"hi\\" \\\\"'],
    ['red\u001b[31m', '"red\\u{1b}[31m"'],
    ['c1\u009b31m', '"c1\\u{9b}31m"'],
    ['bidi\u202egnp', '"bidi\\u{202e}gnp"'],
    ['line\u2028end', '"line\\u{2028}end"'],
    ['half\ud800', '"half\\u{d800}"'],
    ['bücher', '"bücher"'],
    ['https://user:pw@host/app', '"https://***@host/app"'],
    ['https://user:pw@host', '"https://***@host"'],
    ['https://host/app', '"https://host/app"'],
    ['user:p@w@host/app', '"***@host/app"'],
    ['host/app@sha256:00', '"host/app@sha256:00"'],
    ['app@sha256:00', '"app@sha256:00"'],
    ['@host', '"@host"'],
  ] as const) {
    test(`shows ${JSON.stringify(text)} as ${expected}`, () => {
      assert.equal(quote(text), expected)
    })
  }

  test('shortens what is long', () => {
    assert.equal(quote('x'.repeat(160)), `"${'x'.repeat(160)}"`)
    assert.equal(quote('x'.repeat(161)), `"${'x'.repeat(160)}…"`)
  })
})
