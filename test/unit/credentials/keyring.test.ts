import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Keyring } from '../../../src/credentials/image-pattern.ts'

function keyringOf(...keys: readonly string[]): Keyring {
  return new Keyring(
    keys.map((key, index) => [key, { kind: 'registryToken', token: `${index} ${key}` }]),
  )
}

function found(keyring: Keyring, host: string, repository: string): string | undefined {
  const credentials = keyring.find(host, repository)
  return credentials?.kind === 'registryToken' ? credentials.token : undefined
}

test('the longest path is found first', () => {
  const keyring = keyringOf('a.io', 'a.io/team/app', 'a.io/team')

  assert.equal(found(keyring, 'a.io', 'team/app/x'), '1 a.io/team/app')
  assert.equal(found(keyring, 'a.io', 'team/other'), '2 a.io/team')
  assert.equal(found(keyring, 'a.io', 'x'), '0 a.io')
})

test('a host as it is comes before a pattern of hosts', () => {
  const keyring = keyringOf('*.a.io/team', 'r.a.io')

  assert.equal(found(keyring, 'r.a.io', 'team/app'), '1 r.a.io')
  assert.equal(found(keyring, 's.a.io', 'team/app'), '0 *.a.io/team')
})

test('of two spellings of one key the first is found', () => {
  const keyring = keyringOf('https://a.io', 'a.io')

  assert.equal(found(keyring, 'a.io', 'app'), '0 https://a.io')
})

test('keys that are no pattern are left out', () => {
  const keyring = keyringOf('user:password@a.io', '')

  assert.equal(found(keyring, 'a.io', 'app'), undefined)
})
