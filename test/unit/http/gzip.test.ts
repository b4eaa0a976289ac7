import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { gzippedNow } from '../../../src/http/gzip.ts'

test('a body that is kept holds no more memory than its own bytes', () => {
  const text = JSON.stringify(Array.from({ length: 100 }, (_, n) => `answer ${n}`))

  const body = gzippedNow(text)

  assert.equal(gunzipSync(body).toString(), text)
  assert.equal(body.buffer.byteLength, body.length)
})
