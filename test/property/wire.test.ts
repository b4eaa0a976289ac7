import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  MalformedMessageError,
  readString,
  withBytes,
  without,
  withString,
} from '../../src/cri/wire.ts'

/** Messages of string and bytes fields with numbers up to 2^29 - 1. */
const message = fc
  .array(fc.record({ field: fc.integer({ min: 1, max: 2 ** 29 - 1 }), value: fc.uint8Array() }))
  .map((parts) =>
    Buffer.concat(parts.map(({ field, value }) => withBytes(new Uint8Array(), field, value))),
  )
const number = fc.integer({ min: 1, max: 2 ** 29 - 1 })

test('what was written is read back, and every other field is as before', () => {
  fc.assert(
    fc.property(message, number, fc.string({ unit: 'binary' }), (bytes, field, text) => {
      const written = withString(bytes, field, text)

      assert.equal(readString(written, field), Buffer.from(text).toString())
      assert.deepEqual(without(written, field), without(bytes, field))
    }),
  )
})

test('any bytes at all are read, or refused as malformed, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), number, (bytes, field) => {
      try {
        readString(withString(bytes, field, 'x'), field)
      } catch (error) {
        assert.ok(error instanceof MalformedMessageError)
      }
    }),
    { numRuns: 1_000 },
  )
})
