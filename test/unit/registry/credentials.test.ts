import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import {
  type AuthConfig,
  credentialsFingerprint,
  fromAuthConfig,
  parseUserPassword,
} from '../../../src/registry/credentials.ts'

const BASIC = { kind: 'basic', username: 'user', password: 'pa:ss' } as const
const ENCODED = Buffer.from('user:pa:ss').toString('base64')

test('user:password is cut at the first colon', () => {
  assert.deepEqual(parseUserPassword('user:pa:ss'), BASIC)
  assert.deepEqual(parseUserPassword('user:'), { ...BASIC, password: '' })
})

test('what is not user:password is refused without being repeated', () => {
  for (const text of ['hunter2', '', ':hunter2']) {
    assert.throws(
      () => parseUserPassword(text),
      (error) =>
        error instanceof ResolveError &&
        error.code === 'CONFIG_INVALID' &&
        !error.message.includes('hunter2'),
    )
  }
})

const AUTH_CONFIGS: readonly [name: string, auth: AuthConfig, expected: unknown][] = [
  ['user and password', { username: 'user', password: 'pa:ss' }, BASIC],
  ['`auth`, cut at the first colon', { auth: ENCODED }, BASIC],
  ['`auth` that was padded with NUL', { auth: btoa('user:pa:ss\0\0') }, BASIC],
  [
    'user and password before a token and `auth`',
    { username: 'user', password: 'pa:ss', identityToken: 'id', auth: btoa('x:y') },
    BASIC,
  ],
  [
    'an identity token before `auth`',
    { identityToken: 'id', auth: ENCODED },
    { kind: 'identityToken', token: 'id' },
  ],
  [
    'the user <token>, which says that the password is an identity token',
    { username: '<token>', password: 'id' },
    { kind: 'identityToken', token: 'id' },
  ],
  ['a registry token last', { registryToken: 'r' }, { kind: 'registryToken', token: 'r' }],
  ['`auth` before a registry token', { auth: ENCODED, registryToken: 'r' }, BASIC],
  ['nothing of empty fields', { username: '', auth: '', serverAddress: '' }, undefined],
  ['nothing of an `auth` without a colon', { auth: btoa('user') }, undefined],
]

for (const [name, auth, expected] of AUTH_CONFIGS) {
  test(`an AuthConfig yields ${name}`, () => {
    assert.deepEqual(fromAuthConfig(auth, 'host.corp'), expected)
  })
}

test('no AuthConfig is anonymous', () => {
  assert.equal(fromAuthConfig(undefined, 'host.corp'), undefined)
})

test('an AuthConfig for another server yields nothing', () => {
  const auth = { username: 'user', password: 'pa:ss', serverAddress: 'https://other.corp' }

  assert.equal(fromAuthConfig(auth, 'host.corp'), undefined)
})

test('the server address may be a host or a URL, and any name of Docker Hub', () => {
  const auth = { username: 'user', password: 'pa:ss' }
  const matches = (serverAddress: string, host: string) =>
    assert.deepEqual(fromAuthConfig({ ...auth, serverAddress }, host), BASIC)

  matches('host.corp:5000', 'host.corp:5000')
  matches('http://Host.corp:5000/v2/', 'host.corp:5000')
  matches('https://index.docker.io/v1/', 'registry-1.docker.io')
})

test('equal credentials have one fingerprint, different ones different fingerprints', () => {
  const all = [
    undefined,
    BASIC,
    { ...BASIC, password: 'other' },
    { kind: 'identityToken', token: 'a' } as const,
    { kind: 'registryToken', token: 'a' } as const,
  ]

  assert.equal(new Set(all.map(credentialsFingerprint)).size, all.length)
  assert.equal(credentialsFingerprint({ ...BASIC }), credentialsFingerprint(BASIC))
})

test('a fingerprint cannot be confused by where user and password are cut', () => {
  const one = credentialsFingerprint({ kind: 'basic', username: 'a:b', password: 'c' })
  const other = credentialsFingerprint({ kind: 'basic', username: 'a', password: 'b:c' })

  assert.notEqual(one, other)
})
