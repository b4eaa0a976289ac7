import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerValue } from '../../../src/http2/header-list.ts'

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
