import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { oneLine, quote } from '../../../src/reference/quote.ts'
import { cpuMs } from '../../support/cpu-time.ts'

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

const LINES: readonly [text: string, line: string][] = [
  ['', ''],
  ['not there', 'not there'],
  ['two\r\nlines', 'two lines'],
  ['https://blobs.corp/a?signature=secret is gone', 'https://blobs.corp/a is gone'],
  [
    'see (HTTPS://blobs.corp/a#secret, https://b.corp/c?d',
    'see (HTTPS://blobs.corp/a https://b.corp/c',
  ],
  ['what? https://a.corp/b', 'what? https://a.corp/b'],
  ['a?b=https://a.corp/b?secret', 'a?b=https://a.corp/b'],
  ['https://ci:s3cret@hub.corp/v2/ refused', 'https://hub.corp/v2/ refused'],
  [
    '(http://a:b@c@hub.corp:5000,https://u:p@b.corp/x@1?d',
    '(http://hub.corp:5000,https://b.corp/x@1',
  ],
  [
    'redis://:s3cret@cache.corp:6379 and https://token@hub.corp',
    'redis://cache.corp:6379 and https://hub.corp',
  ],
  ['ask ops@corp, https://hub.corp/team@sha256:1', 'ask ops@corp, https://hub.corp/team@sha256:1'],
  ['x'.repeat(300), 'x'.repeat(200)],
]

for (const [text, line] of LINES) {
  test(`${JSON.stringify(text).slice(0, 80)} becomes ${JSON.stringify(line).slice(0, 80)}`, () => {
    assert.equal(oneLine(text), line)
  })
}

test('the longest message that a registry may send is shortened in no time', () => {
  const ms = cpuMs(() => {
    oneLine('http://'.repeat(9_300))
    oneLine(`http://${'a:b'.repeat(20_000)}`)
  })

  // Trying every beginning with every end took six seconds.
  assert.ok(ms < 1_000, `${ms} ms`)
})
