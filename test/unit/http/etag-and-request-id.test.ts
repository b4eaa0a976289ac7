import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requestId, traceId } from '../../../src/http/app.ts'
import { acceptsGzip, entityTag, gzippedTag, hasAlready } from '../../../src/http/etag-and-gzip.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const traces: readonly (readonly [string | undefined, string | undefined])[] = [
  [`00-${TRACE}-00f067aa0ba902b7-01`, TRACE],
  [`cc-${TRACE}-00f067aa0ba902b7-01-what-comes-later`, TRACE],
  [`ff-${TRACE}-00f067aa0ba902b7-01`, undefined],
  [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, undefined],
  [`00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`, undefined],
  ['00-short-00f067aa0ba902b7-01', undefined],
  [undefined, undefined],
]

for (const [traceparent, expected] of traces) {
  test(`the trace of ${traceparent} is ${expected}`, () => {
    assert.equal(traceId(traceparent === undefined ? {} : { traceparent }), expected)
  })
}

for (const sane of [
  'a',
  'f47ac10b-58cc-4372-a567-0e02b2c3d479',
  'a:b/c+d=e@f_g.h',
  'x'.repeat(128),
]) {
  test(`the request ID ${sane.slice(0, 40)} is taken over`, () => {
    assert.equal(requestId({ 'x-request-id': sane }), sane)
  })
}

for (const odd of ['', 'a b', 'a\tb', '"a"', 'ä', '<script>', 'x'.repeat(129)]) {
  test(`the request ID '${odd.slice(0, 40)}' is replaced`, () => {
    assert.match(requestId({ 'x-request-id': odd }), /^[\w-]{6}-[\da-z]+$/)
  })
}

test('requests without an ID have IDs of their own, of twelve characters at the most', () => {
  const ids = Array.from({ length: 10_000 }, () => requestId({}))

  assert.equal(new Set(ids).size, ids.length)
  assert.ok(ids.every(({ length }) => length <= 12))
})

const encodings: readonly (readonly [string | undefined, boolean])[] = [
  [undefined, false],
  ['', false],
  ['identity', false],
  ['gzip', true],
  ['br;q=1.0, gzip;q=0.8, *;q=0.1', true],
  ['gzip; q=0', false],
  ['gzip;q=0.000', false],
  ['gzip;q=0.001', true],
  ['x-gzip', true],
  ['ungzipped', false],
]

for (const [header, accepted] of encodings) {
  test(`Accept-Encoding: ${header} ${accepted ? 'takes' : 'does not take'} gzip`, () => {
    assert.equal(acceptsGzip(header), accepted)
  })
}

test('tags tell bodies apart, and compressed ones too', () => {
  const tag = entityTag('a')

  assert.notEqual(tag, entityTag('b'))
  assert.notEqual(tag, gzippedTag(tag))
  assert.equal(hasAlready(`"x" , ${gzippedTag(tag)}`, tag), true)
  assert.equal(hasAlready(tag.slice(1, -1), tag), false)
  assert.equal(hasAlready(undefined, tag), false)
})
