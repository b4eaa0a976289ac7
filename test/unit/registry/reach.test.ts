import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddress } from '../../../src/registry/endpoint.ts'
import { policyFor, realmPolicyFor } from '../../../src/registry/transport/address-policy.ts'

const ROWS: readonly [address: string, configured: boolean, url: string, reach: string][] = [
  ['harbor.corp', true, 'https://harbor.corp/v2/', 'anywhere'],
  ['harbor.corp:443', true, 'https://harbor.corp/token', 'anywhere'],
  ['http://harbor.corp:80', true, 'http://harbor.corp/token', 'anywhere'],
  ['harbor.corp', true, 'https://harbor.corp:8443/token', 'site'],
  ['harbor.corp', true, 'https://auth.corp/token', 'site'],
  ['harbor.corp', true, 'https://localhost/token', 'site'],
  ['127.0.0.1:5000', true, 'http://127.0.0.1:5001/token', 'anywhere'],
  ['127.0.0.1:5000', true, 'http://169.254.169.254/token', 'site'],
  ['quay.io', false, 'https://quay.io/v2/', 'public'],
  ['localhost:5000', false, 'http://localhost:5000/v2/', 'public'],
]

for (const [address, configured, url, reach] of ROWS) {
  const who = configured ? 'configured' : 'unknown'
  test(`on behalf of the ${who} ${address}, ${url} is asked with reach ${reach}`, () => {
    assert.equal(policyFor(new URL(url), parseAddress(address), configured), reach)
  })
}

const REALMS = new Set(['auth.corp', 'tokens.corp:8443'])
const REALM_ROWS: readonly [realm: string, configured: boolean, reach: string][] = [
  ['https://auth.corp/token', true, 'anywhere'],
  ['https://auth.corp/token', false, 'public'],
  ['https://auth.corp:9443/token', true, 'anywhere'],
  ['https://tokens.corp:8443/token', true, 'anywhere'],
  ['https://tokens.corp/token', true, 'site'],
  ['https://other.corp/token', true, 'site'],
]

for (const [realm, configured, reach] of REALM_ROWS) {
  const who = configured ? 'a configured' : 'an unknown'
  test(`for ${who} registry the token service ${realm} is asked with reach ${reach}`, () => {
    const endpoint = parseAddress('quay.io')

    assert.equal(realmPolicyFor(new URL(realm), endpoint, configured, REALMS), reach)
  })
}
