import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  edited,
  MalformedMessageError,
  readMessage,
  readString,
  readStrings,
  without,
  withString,
  withStrings,
} from '../../../src/cri/wire.ts'

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex')

test('a string is read by its number, absent it is empty, and the last one wins', () => {
  assert.equal(readString(hex('0a 01 61'), 1), 'a')
  assert.equal(readString(hex('0a 01 61'), 2), '')
  assert.equal(readString(hex('0a 01 61 0a 01 62'), 1), 'b')
})

test('occurrences of one message are merged by joining them', () => {
  const twice = hex('0a 03 0a 01 61  0a 03 12 01 62')

  assert.deepEqual(readMessage(twice, 1), Buffer.from(hex('0a 01 61 12 01 62')))
  assert.equal(readMessage(twice, 2), undefined)
})

test('replacing a field leaves every other byte where it was', () => {
  const before = '08 96 01'
  const after = '25 01 02 03 04  29 01 02 03 04 05 06 07 08  9a 06 02 ff 00'

  const replaced = withString(hex(`${before} 12 01 61 ${after}`), 2, 'xyz')

  assert.deepEqual(Buffer.from(replaced), Buffer.from(hex(`${before} 12 03 78 79 7a ${after}`)))
})

test('a field that was absent is added at the end', () => {
  assert.deepEqual(
    Buffer.from(withString(hex('08 01'), 2, 'a')),
    Buffer.from(hex('08 01 12 01 61')),
  )
})

test('repeated occurrences of a replaced field become one', () => {
  assert.deepEqual(
    Buffer.from(withString(hex('0a 01 61 10 01 0a 01 62'), 1, 'c')),
    Buffer.from(hex('0a 01 63 10 01')),
  )
})

test('removing a field leaves the others', () => {
  assert.deepEqual(Buffer.from(without(hex('0a 01 61 10 01'), 1)), Buffer.from(hex('10 01')))
})

test('lengths above 127 and numbers above 15 are written as protobuf wants them', () => {
  const long = 'x'.repeat(300)

  const message = withString(new Uint8Array(), 18, long)

  assert.deepEqual([...message.subarray(0, 4)], [0x92, 0x01, 0xac, 0x02])
  assert.equal(readString(message, 18), long)
})

test('what is no message is refused', () => {
  for (const broken of [
    '0a 05 61',
    '0a',
    '0b 01',
    '02 00',
    'ff ff ff ff ff ff ff ff ff ff ff 01',
    '0d 01',
  ]) {
    assert.throws(() => readString(hex(broken), 1), MalformedMessageError, broken)
  }
})

test('a message of more fields than anybody has images is refused before it takes all memory', () => {
  const emptyField = Buffer.of(10, 0)
  const most = Buffer.alloc(400_000, emptyField)

  assert.equal(readString(most, 1), '')
  const tooMany = Buffer.concat([most, emptyField])
  assert.throws(() => readString(tooMany, 1), new MalformedMessageError('more than 200000 fields'))
})

test('a repeated string is read in order, and written where its first one stood', () => {
  const message = hex('0a 01 61  10 07  0a 01 62  1a 01 7a')

  assert.deepEqual(readStrings(message, 1), ['a', 'b'])
  assert.deepEqual(
    Buffer.from(withStrings(message, 1, ['x', 'y'])),
    Buffer.from(hex('0a 01 78 0a 01 79  10 07  1a 01 7a')),
  )
  assert.deepEqual(Buffer.from(withStrings(message, 1, [])), Buffer.from(hex('10 07  1a 01 7a')))
  assert.deepEqual(
    Buffer.from(withStrings(hex('10 07'), 1, ['x'])),
    Buffer.from(hex('10 07  0a 01 78')),
  )
})

test('editing changes each occurrence by itself and leaves odd encodings elsewhere', () => {
  // A length of one in two bytes, and field 1 as a number too.
  const message = hex('12 81 00 61  0a 01 61  08 05  0a 01 62')
  const upper = (value: Uint8Array): Uint8Array =>
    Buffer.from(Buffer.from(value).toString().toUpperCase())

  const changed = edited(message, { 1: upper, 3: upper })

  assert.deepEqual(Buffer.from(changed), Buffer.from(hex('12 81 00 61  0a 01 41  08 05  0a 01 42')))
})

test('an edit that changes nothing answers the same object, and one that drops a field drops it', () => {
  const message = hex('0a 81 00 61 10 01')

  assert.equal(edited(message, { 1: (value) => value }), message)
  assert.deepEqual(Buffer.from(edited(message, { 1: () => undefined })), Buffer.from(hex('10 01')))
})
