import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attempt } from '../../../src/errors.ts'
import { attemptsOf, withAttempts } from '../../../src/runtime/attempts-trailer.ts'
import { binaryValue } from '../../../src/runtime/metadata.ts'

const ATTEMPT: Attempt = {
  registry: 'hub.corp:5000',
  step: 'manifest',
  outcome: 'not_found',
  status: 404,
  ms: 3.5,
  message: 'Größe: nicht da',
}
const NAME = 'image-resolver-attempts-bin'

test('what registries said comes through trailers as it was, beside those of the runtime', () => {
  const trailers = ['of-the-runtime', 'x']

  const told = withAttempts(trailers, [ATTEMPT, { ...ATTEMPT, outcome: 'timeout' }])

  assert.deepEqual(attemptsOf(told), [ATTEMPT, { ...ATTEMPT, outcome: 'timeout' }])
  assert.deepEqual(told.slice(0, 2), ['of-the-runtime', 'x'])
  assert.deepEqual(trailers, ['of-the-runtime', 'x'], 'the trailers of the runtime were changed')
})

test('nothing is added where no registry was asked', () => {
  const trailers = ['of-the-runtime', 'x']

  assert.equal(withAttempts(trailers, []), trailers)
})

test('however much is said, it is less than clients take of headers', () => {
  const long = { ...ATTEMPT, message: 'ü'.repeat(100_000) }

  const told = withAttempts(
    [],
    Array.from({ length: 1_000 }, () => long),
  )

  const bytes = binaryValue(told, NAME)
  assert.ok(bytes !== undefined && bytes.length <= 3_072)
  assert.ok(attemptsOf(told).length >= 3)
})

for (const text of ['', '{', '{}', '[1, null, {"registry": 1}]', '[{"registry": "a"}]']) {
  test(`what is not of our making says nothing: ${text}`, () => {
    const trailers = [NAME, Buffer.from(text).toString('base64')]

    assert.deepEqual(attemptsOf(trailers), [])
  })
}
