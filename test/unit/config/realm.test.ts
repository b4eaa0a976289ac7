import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRealm } from '../../../src/config/addresses.ts'

test('a token service is named by its host, in lower case, and perhaps its port', () => {
  const written = ['auth.corp', 'Auth.Corp:8443', 'auth', '10.0.0.7', '[FD00::7]:8443']

  assert.deepEqual(written.map(parseRealm), [
    'auth.corp',
    'auth.corp:8443',
    'auth',
    '10.0.0.7',
    '[fd00::7]:8443',
  ])
})

for (const text of [
  '',
  'https://auth.corp',
  'auth.corp/token',
  'a b',
  'auth:65536',
  '*.corp',
  '::1',
]) {
  test(`${JSON.stringify(text)} is refused as the host of a token service`, () => {
    assert.throws(() => parseRealm(text), /is not the host of a token service; write host or/)
  })
}
