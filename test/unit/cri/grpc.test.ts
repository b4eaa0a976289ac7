import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  isGrpc,
  requestHeaders,
  statusAnswer,
  statusOf,
  statusTrailers,
  without,
} from '../../../src/cri/grpc.ts'

const REQUEST = [':method', 'POST', ':path', '/a', ':authority', '/run/x.sock']

test('a request goes on under the name of a server that is here', () => {
  const list = { fields: [...REQUEST, 'a', '1', 'host', 'x', 'a', '2'] }

  assert.deepEqual(requestHeaders(list).fields, [
    ':authority',
    'localhost',
    ':method',
    'POST',
    ':path',
    '/a',
    'a',
    '1',
    'a',
    '2',
  ])
})

test('a request may go on to another path, and keeps what is sensitive in it', () => {
  const sensitive = new Set(['token'])
  const list = { fields: [':path', '/a', 'token', 'x'], sensitive }

  assert.deepEqual(requestHeaders(list, '/b'), {
    fields: [':authority', 'localhost', ':path', '/b', 'token', 'x'],
    sensitive,
  })
})

test('a field can be left out, wherever and however often it is there', () => {
  const list = { fields: ['a', '1', 'b', 'a', 'a', '2'] }

  assert.deepEqual(without(list, 'a').fields, ['b', 'a'])
})

for (const [type, is] of [
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['text/html', false],
] as const) {
  test(`${type} is ${is ? '' : 'not '}gRPC`, () => {
    assert.equal(isGrpc({ fields: ['content-type', type] }), is)
  })
}

test('what says no type is not gRPC', () => {
  assert.equal(isGrpc({ fields: [] }), false)
})

test('a message is sent in printable ASCII', () => {
  const message = 'no 100% "näh"\n~'

  assert.deepEqual(statusTrailers(14, message).fields, [
    'grpc-status',
    '14',
    'grpc-message',
    'no 100%25 "n%C3%A4h"%0A~',
  ])
})

test('an answer of ours is headers only, with the status of HTTP that is asked for', () => {
  const rest = ['content-type', 'application/grpc', 'grpc-status', '3', 'grpc-message', 'no']

  assert.deepEqual(statusAnswer(3, 'no').fields, [':status', '200', ...rest])
  assert.deepEqual(statusAnswer(3, 'no', 415).fields, [':status', '415', ...rest])
})

for (const [text, code] of [
  ['0', 0],
  ['14', 14],
  ['', 2],
  ['x', 2],
] as const) {
  test(`the status '${text}' is ${code}`, () => {
    assert.equal(statusOf({ fields: ['grpc-status', text] }), code)
  })
}

test('no status is UNKNOWN', () => {
  assert.equal(statusOf({ fields: ['a', '0'] }), 2)
})
