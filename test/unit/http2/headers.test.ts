import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerValue, isRequest, isTrailers } from '../../../src/http2/headers.ts'

const PSEUDO = [':method', 'POST', ':scheme', 'http', ':path', '/a']
const AUTHORITY = [':authority', 'localhost']

/** Fields that may stand in neither, whatever else there is. */
const BAD_FIELDS: Readonly<Record<string, readonly string[]>> = {
  'a name in upper case': ['Content-Type', 'x'],
  'no name': ['', 'x'],
  connection: ['connection', 'close'],
  'keep-alive': ['keep-alive', '5'],
  'proxy-connection': ['proxy-connection', 'close'],
  'transfer-encoding': ['transfer-encoding', 'chunked'],
  upgrade: ['upgrade', 'h2c'],
  'te other than trailers': ['te', 'gzip'],
  'a value with NUL': ['x', 'a\0'],
  'a value with CR': ['x', '\ra'],
  'a value with LF': ['x', 'a\nb'],
}

const REQUESTS: Readonly<Record<string, readonly string[]>> = {
  'the least': PSEUDO,
  'an authority': [...AUTHORITY, ...PSEUDO],
  'the path of a socket as authority': [...PSEUDO, ':authority', '/run/x.sock'],
  'other fields, and some twice': [...PSEUDO, 'te', 'trailers', 'a', '1', 'a', '2', 'b', ''],
  'the protocol of an extended CONNECT': [...PSEUDO, ':protocol', 'websocket'],
  'values in any bytes': [...PSEUDO, 'x', '\x01\x7f\xff'],
}

for (const [what, fields] of Object.entries(REQUESTS)) {
  test(`a request may have ${what}`, () => {
    assert.equal(isRequest({ fields }), true)
  })
}

const NO_REQUESTS: Readonly<Record<string, readonly string[]>> = {
  'no fields': [],
  'no method': PSEUDO.slice(2),
  'no scheme': [...PSEUDO.slice(0, 2), ...PSEUDO.slice(4)],
  'no path': PSEUDO.slice(0, 4),
  'an empty path': [...PSEUDO.slice(0, 4), ':path', ''],
  'two methods': [':method', 'GET', ...PSEUDO],
  'a path twice': [...PSEUDO, ':path', '/b'],
  'an authority twice': [...AUTHORITY, ...PSEUDO, ...AUTHORITY],
  'a status': [...PSEUDO, ':status', '200'],
  'a pseudo-header that nobody knows': [...PSEUDO, ':x', ''],
  'a pseudo-header behind a field': [...PSEUDO, 'a', '1', ...AUTHORITY],
  'a path with NUL': [...PSEUDO.slice(0, 4), ':path', '/\0'],
}

for (const [what, fields] of Object.entries(NO_REQUESTS)) {
  test(`a request may not have ${what}`, () => {
    assert.equal(isRequest({ fields }), false)
  })
}

for (const [what, fields] of Object.entries(BAD_FIELDS)) {
  test(`neither requests nor trailers may have ${what}`, () => {
    assert.equal(isRequest({ fields: [...PSEUDO, ...fields] }), false)
    assert.equal(isTrailers({ fields: ['grpc-status', '0', ...fields] }), false)
  })
}

test('trailers may have any fields, and none', () => {
  assert.equal(isTrailers({ fields: [] }), true)
  assert.equal(isTrailers({ fields: ['grpc-status', '0', 'grpc-message', ''] }), true)
})

for (const name of [':status', ':path', ':x']) {
  test(`trailers may not have ${name}`, () => {
    assert.equal(isTrailers({ fields: ['a', '1', name, '/a'] }), false)
  })
}

const LIST = { fields: ['te', 'trailers', 'x', 'first', 'x', 'second', 'last', 'te-2'] }

test('the value of a name is that of the first field so named', () => {
  assert.equal(headerValue(LIST, 'x'), 'first')
})

test('a name that is not in the list has no value', () => {
  assert.equal(headerValue(LIST, 'y'), undefined)
})

test('a value is never taken for a name', () => {
  assert.equal(headerValue(LIST, 'trailers'), undefined)
})
