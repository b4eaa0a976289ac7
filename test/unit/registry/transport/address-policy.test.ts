import assert from 'node:assert/strict'
import type { LookupAddress, LookupOptions } from 'node:dns'
import { test } from 'node:test'
import { parseAddress } from '../../../../src/registry/endpoint.ts'
import {
  type AddressPolicy,
  AddressRefused,
  guardedLookup,
  isRefused,
  policyFor,
  realmPolicyFor,
} from '../../../../src/registry/transport/address-policy.ts'

const LOCAL = [
  '127.0.0.1',
  '127.255.0.1',
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '100.100.100.200',
  '168.63.129.16',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '64:ff9b::169.254.169.254',
  '64:ff9b:1::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '2002:7f00:1::',
  'fe80::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  'ff02::1',
]
const PRIVATE = [
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  'fc00::1',
  'fdff::1',
  '::ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b:1::10.0.0.1',
  '::ffff:0:10.0.0.1',
  '2002:a00:1::',
]
const PUBLIC = [
  '8.8.8.8',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700::1',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
]

test('local addresses are out of reach unless the operator named the host', () => {
  for (const address of LOCAL) {
    assert.ok(isRefused(address, 'public'), address)
    assert.ok(isRefused(address, 'site'), address)
    assert.ok(!isRefused(address, 'anywhere'), address)
  }
})

test('private addresses are within reach of a site, not of the public', () => {
  for (const address of PRIVATE) {
    assert.ok(isRefused(address, 'public'), address)
    assert.ok(!isRefused(address, 'site'), address)
  }
})

test('public addresses are within reach of all', () => {
  for (const address of PUBLIC) assert.ok(!isRefused(address, 'public'), address)
})

test('what is no address is out of reach', () => {
  assert.ok(isRefused('localhost', 'anywhere'))
})

type Answer = { error: Error | null; address: unknown }

function lookUp(reach: AddressPolicy, addresses: readonly string[], all = false): Promise<Answer> {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const resolve = (
    _: string,
    __: LookupOptions,
    callback: (error: Error | null, addresses: LookupAddress[]) => void,
  ) => callback(null, found)
  return new Promise((done) => {
    const lookup = guardedLookup(reach, resolve as Parameters<typeof guardedLookup>[1])
    lookup('name.example', { all }, (error, address) => done({ error, address }))
  })
}

test('a name that leads to a public address is looked up', async () => {
  assert.deepEqual(await lookUp('public', ['8.8.8.8']), { error: null, address: '8.8.8.8' })
})

test('all addresses of a name are given when all are asked for', async () => {
  const { address } = await lookUp('public', ['8.8.8.8', '2606:4700::1'], true)

  assert.deepEqual(address, [
    { address: '8.8.8.8', family: 4 },
    { address: '2606:4700::1', family: 6 },
  ])
})

test('a name that leads to a private address is refused, without telling which', async () => {
  const { error } = await lookUp('public', ['10.1.2.3'])

  assert.ok(error instanceof AddressRefused)
  assert.match(error.message, /^name\.example leads to a private or local address/)
  assert.doesNotMatch(error.message, /10\.1/)
})

test('one private address among public ones is enough to refuse a name', async () => {
  const { error } = await lookUp('public', ['8.8.8.8', '10.1.2.3'], true)

  assert.ok(error instanceof AddressRefused)
})

test('a name without addresses is refused', async () => {
  assert.ok((await lookUp('public', [])).error instanceof AddressRefused)
})

const POLICIES: readonly [address: string, configured: boolean, url: string, policy: string][] = [
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

for (const [address, configured, url, policy] of POLICIES) {
  const who = configured ? 'configured' : 'unknown'
  test(`on behalf of the ${who} ${address}, ${url} is asked with the policy ${policy}`, () => {
    assert.equal(policyFor(new URL(url), parseAddress(address), configured), policy)
  })
}

const REALMS = new Set(['auth.corp', 'tokens.corp:8443'])
const REALM_POLICIES: readonly [realm: string, configured: boolean, policy: string][] = [
  ['https://auth.corp/token', true, 'anywhere'],
  ['https://auth.corp/token', false, 'public'],
  ['https://auth.corp:9443/token', true, 'anywhere'],
  ['https://tokens.corp:8443/token', true, 'anywhere'],
  ['https://tokens.corp/token', true, 'site'],
  ['https://other.corp/token', true, 'site'],
]

for (const [realm, configured, policy] of REALM_POLICIES) {
  const who = configured ? 'a configured' : 'an unknown'
  test(`for ${who} registry the token service ${realm} is asked with the policy ${policy}`, () => {
    const endpoint = parseAddress('quay.io')

    assert.equal(realmPolicyFor(new URL(realm), endpoint, configured, REALMS), policy)
  })
}
