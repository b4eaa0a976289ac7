import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDockerAuths } from '../../../src/credentials/docker.ts'
import { ResolveError } from '../../../src/errors.ts'
import { base64 } from '../../support/keychain.ts'

const BASIC = { kind: 'basic', username: 'user', password: 'pa:ss' } as const

const ENTRIES: readonly [name: string, entry: unknown, expected: unknown][] = [
  ['`auth`, cut at the first colon', { auth: base64('user:pa:ss') }, BASIC],
  ['`auth` padded with NUL', { auth: base64('user:pa:ss\0\0') }, BASIC],
  ['user and password', { username: 'user', password: 'pa:ss' }, BASIC],
  [
    '`auth` before user and password',
    { username: 'old', password: 'old', auth: base64('user:pa:ss') },
    BASIC,
  ],
  [
    'an identity token before `auth`, as Azure writes both',
    { auth: base64('00000000-0000-0000-0000-000000000000:'), identitytoken: 'id' },
    { kind: 'identityToken', token: 'id' },
  ],
  [
    'the user <token>, whose password is an identity token',
    { auth: base64('<token>:id') },
    { kind: 'identityToken', token: 'id' },
  ],
  ['a registry token', { registrytoken: 'r' }, { kind: 'registryToken', token: 'r' }],
]

for (const [name, entry, expected] of ENTRIES) {
  test(`an entry yields ${name}`, () => {
    const { auths } = parseDockerAuths(JSON.stringify({ auths: { 'a.io': entry } }), assert.fail)

    assert.deepEqual(auths, [['a.io', expected]])
  })
}

test('entries without a secret, as `docker login` leaves them beside a store, are none', () => {
  const text = JSON.stringify({ auths: { a: {}, b: { email: 'x' }, c: { auth: '' }, d: null } })

  assert.deepEqual(parseDockerAuths(text, assert.fail).auths, [])
})

test('an entry that cannot be read is noted without its secret, and the others hold', () => {
  const notes: string[] = []
  const text = JSON.stringify({
    auths: {
      'bad.io': { auth: base64('hunter2') },
      'https://user:hunter2@worse.io': { auth: base64('hunter2') },
      'good.io': { auth: base64('user:pa:ss') },
    },
  })

  const { auths } = parseDockerAuths(text, (reason) => notes.push(reason))

  assert.deepEqual(auths, [['good.io', BASIC]])
  assert.deepEqual(notes, [
    'the entry "bad.io" has an `auth` that is not base64 of user:password',
    'an entry has an `auth` that is not base64 of user:password',
  ])
})

test('the form of a .dockercfg has its entries at the top', () => {
  const text = JSON.stringify({ 'https://a.io/v1/': { auth: base64('user:pa:ss') }, other: {} })

  assert.deepEqual(parseDockerAuths(text, assert.fail).auths, [['https://a.io/v1/', BASIC]])
})

test('helpers are known by the host they are for, in any spelling', () => {
  const text = JSON.stringify({
    credsStore: 'store',
    credHelpers: { 'https://A.io/v2/': 'one', 'index.docker.io': 'two', 'b.io': 3 },
  })

  const { credHelpers, credsStore } = parseDockerAuths(text, assert.fail)

  assert.deepEqual(
    [...credHelpers],
    [
      ['a.io', 'one'],
      ['docker.io', 'two'],
    ],
  )
  assert.equal(credsStore, 'store')
})

test('what is not a JSON object is refused without being repeated', () => {
  for (const text of ['hunter2', '"hunter2"', '["hunter2"]', '', 'null', '{"auths":hunter2}']) {
    assert.throws(
      () => parseDockerAuths(text, assert.fail),
      (error) => error instanceof ResolveError && !error.message.includes('hunter2'),
    )
  }
})
