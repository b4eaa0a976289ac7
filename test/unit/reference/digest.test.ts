import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hashOf, isDigest, parseDigest, verifyDigest } from '../../../src/reference/digest.ts'

/** Of no bytes at all: the well-known values. */
const EMPTY_SHA256 = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const EMPTY_SHA384 =
  'sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b'
const EMPTY_SHA512 =
  'sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e'

const NOTHING = new Uint8Array()

describe('digests', () => {
  for (const [algorithm, digest] of [
    ['sha256', EMPTY_SHA256],
    ['sha384', EMPTY_SHA384],
    ['sha512', EMPTY_SHA512],
  ] as const) {
    test(`of ${algorithm} are read, computed and verified`, () => {
      const parsed = parseDigest(digest)

      assert.deepEqual(parsed, { algorithm, hex: digest.slice(algorithm.length + 1) })
      assert.equal(isDigest(digest), true)
      assert.equal(hashOf(algorithm, NOTHING), digest)
      assert.equal(verifyDigest(digest, NOTHING), true)
    })
  }

  test('do not verify other bytes', () => {
    assert.equal(verifyDigest(EMPTY_SHA256, new TextEncoder().encode('x')), false)
  })

  test('that are malformed verify nothing', () => {
    assert.equal(verifyDigest(EMPTY_SHA256.toUpperCase(), NOTHING), false)
    assert.equal(verifyDigest('', NOTHING), false)
  })

  for (const [text, message] of [
    ['', /"" is not a digest/],
    ['sha256', /is not a digest/],
    ['md5:d41d8cd98f00b204e9800998ecf8427e', /"md5" is not supported/],
    ['sha256+b64:abcd', /is not supported/],
    ['sha256:', /has 64 hexadecimal digits, "sha256:" has 0/],
    [`${EMPTY_SHA256}\n`, /has 65/],
    [EMPTY_SHA256.replace('e3b0', 'E3B0'), /only the digits 0-9 and a-f/],
    [EMPTY_SHA256.replace('e3b0', 'g3b0'), /only the digits 0-9 and a-f/],
  ] as const) {
    test(`${JSON.stringify(text.slice(0, 24))} is refused with DIGEST_INVALID`, () => {
      assert.equal(isDigest(text), false)
      assert.throws(() => parseDigest(text), {
        name: 'ResolveError',
        code: 'DIGEST_INVALID',
        message,
      })
    })
  }
})
