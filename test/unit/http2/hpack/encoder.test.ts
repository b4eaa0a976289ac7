import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HpackDecoder } from '../../../../src/http2/hpack/decoder.ts'
import { encodeHeaders } from '../../../../src/http2/hpack/encoder.ts'
import { indexed, literal, plain } from '../../../support/hpack-fields.ts'

function sends(fields: readonly string[], sensitive: readonly string[], ...block: Buffer[]): void {
  assert.deepEqual(encodeHeaders({ fields, sensitive: new Set(sensitive) }), Buffer.concat(block))
}

test('an empty list is an empty block', () => {
  assert.equal(encodeHeaders({ fields: [] }).length, 0)
})

test('a field that the static table has is an index', () => {
  sends([':method', 'POST', ':status', '200'], [], indexed(3), indexed(8))
})

test('a name that the static table has is the first index of it', () => {
  sends([':path', '/a'], [], literal('without', 4, plain('/a')))
})

test('a name whose index does not fit into the first byte takes another', () => {
  sends(['content-type', 'x'], [], literal('without', 31, plain('x')))
})

test('any other field is written out', () => {
  sends(['grpc-status', '0'], [], literal('without', plain('grpc-status'), plain('0')))
})

test('fields keep their order, and repeated names their fields', () => {
  const fields = ['b', '1', ':method', 'GET', 'a', '2', 'b', '3']

  assert.deepEqual(new HpackDecoder(1_024).decode(encodeHeaders({ fields })).list.fields, fields)
})

test('a sensitive field with a known name is never to be indexed', () => {
  sends(['authorization', 'x'], ['authorization'], literal('never', 23, plain('x')))
})

test('a sensitive field with a new name is never to be indexed', () => {
  sends(['token', 'x'], ['token'], literal('never', plain('token'), plain('x')))
})

test('a sensitive field is no index, even where the static table has all of it', () => {
  sends([':method', 'GET'], [':method'], literal('never', 2, plain('GET')))
})

test('a sensitive name makes no other field so', () => {
  sends(['a', '1'], ['b'], literal('without', plain('a'), plain('1')))
})

test('nothing that is sent is to be remembered', () => {
  const block = encodeHeaders({ fields: ['a', '1', ':path', '/b', 'date', 'today'] })
  const decoder = new HpackDecoder(1_024)
  decoder.decode(block)

  assert.throws(() => decoder.decode(indexed(62)))
})

test('a value is sent byte by byte', () => {
  const value = Buffer.from([...Array(256).keys()]).toString('latin1')

  sends(['x', value], [], literal('without', plain('x'), plain(value)))
})

for (const length of [0, 126, 127, 128, 254, 255, 16_383, 16_510, 16_511, 300_000]) {
  test(`a value of ${length} bytes is sent with its length`, () => {
    const value = 'v'.repeat(length)

    sends(['x', value], [], literal('without', plain('x'), plain(value)))
  })
}
