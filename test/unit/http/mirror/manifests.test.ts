import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accepts } from '../../../../src/http/mirror/manifests.ts'

const TYPE = 'application/vnd.oci.image.index.v1+json'

test('what is accepted: nothing said, everything, the family, or the very type', () => {
  for (const accept of [
    undefined,
    '',
    ' ',
    '*/*',
    'text/plain, */*;q=0.1',
    'application/*',
    TYPE,
  ]) {
    assert.ok(accepts(accept, TYPE), accept)
  }
  assert.ok(accepts(`text/plain ,  ${TYPE.toUpperCase()} ; q=0.5`, TYPE))
})

test('what is not accepted: other types, and those of no weight', () => {
  for (const accept of ['text/plain', 'text/*', `${TYPE};q=0`, `${TYPE}; q=0.000`, `${TYPE}.v2`]) {
    assert.ok(!accepts(accept, TYPE), accept)
  }
})
