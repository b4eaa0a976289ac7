import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  CATALOG_SCOPE,
  mergedScope,
  parseChallenges,
  pickChallenge,
  pullScope,
} from '../../../../src/registry/auth/challenge.ts'

type Expected = readonly [scheme: string, params: Readonly<Record<string, string>>]

const HEADERS: readonly [header: string | string[], ...challenges: Expected[]][] = [
  [''],
  ['Basic', ['basic', {}]],
  ['Basic realm="Registry Realm"', ['basic', { realm: 'Registry Realm' }]],
  [
    'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push"',
    [
      'bearer',
      {
        realm: 'https://auth.example/token',
        service: 'registry',
        scope: 'repository:a/b:pull,push',
      },
    ],
  ],
  ['bEaReR Realm=https://a.b/t,service=x', ['bearer', { realm: 'https://a.b/t', service: 'x' }]],
  ['Bearer realm = "x"  , service ="y"', ['bearer', { realm: 'x', service: 'y' }]],
  ['Bearer realm="a\\"b"', ['bearer', { realm: 'a"b' }]],
  ['Bearer realm="a",empty=""', ['bearer', { realm: 'a', empty: '' }]],
  ['Bearer realm="a",service=', ['bearer', { realm: 'a' }]],
  ['Bearer realm="a",service="b', ['bearer', { realm: 'a' }]],
  ['Bearer realm="a",realm="b"', ['bearer', { realm: 'a' }]],
  [
    'Bearer realm="https://codeberg.org/v2/token",service="s",Basic realm="Gitea"',
    ['bearer', { realm: 'https://codeberg.org/v2/token', service: 's' }],
    ['basic', { realm: 'Gitea' }],
  ],
  [
    ['Negotiate', 'Basic realm="x"', 'Bearer realm="y"'],
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
    ['bearer', { realm: 'y' }],
  ],
  ['Negotiate YWJj==, Basic realm="x"', ['negotiate', {}], ['basic', { realm: 'x' }]],
  ['"=,;\\ Basic', ['basic', {}]],
]

for (const [header, ...challenges] of HEADERS) {
  test(`the challenges of ${JSON.stringify(header)} are read`, () => {
    const parsed = parseChallenges(header)

    assert.deepEqual(
      parsed.map(({ scheme, params }) => [scheme, Object.fromEntries(params)]),
      challenges,
    )
  })
}

test('Bearer is answered rather than Basic, wherever it stands', () => {
  const picked = pickChallenge(parseChallenges('Negotiate, Basic realm="x", Bearer realm="y"'))

  assert.equal(picked?.params.get('realm'), 'y')
})

test('Basic is answered when there is no Bearer', () => {
  assert.equal(pickChallenge(parseChallenges('Digest realm="x", Basic'))?.scheme, 'basic')
})

test('a challenge of an unknown scheme is not answered', () => {
  assert.equal(pickChallenge(parseChallenges('foo bar')), undefined)
})

const vectors = process.env['REFERENCE_VECTORS']

test('the challenges that another client collected in the wild are read as it reads them', {
  skip: vectors === undefined && 'REFERENCE_VECTORS does not name a folder of test vectors',
}, () => {
  const file = join(vectors ?? '', 'www-authenticate.tests.json')
  const { cases } = JSON.parse(readFileSync(file, 'utf8'))
  assert.ok(cases.length > 0)

  for (const { name, header, scheme, params } of cases) {
    const picked = pickChallenge(parseChallenges(header))
    // That client picks bearer, basic or nothing, but keeps parameters of Bearer alone. A row with
    // a Bearer without realm is read all the same.
    assert.equal(picked?.scheme ?? 'unknown', scheme, name)
    const read = picked?.scheme === 'bearer' ? Object.fromEntries(picked.params) : {}
    assert.deepEqual(read, params, name)
  }
})

const OWN = pullScope('library/app')

const ROWS: readonly [why: string, challenged: string | undefined, merged: string][] = [
  ['nothing is challenged', undefined, OWN],
  ['the same is challenged', 'repository:library/app:pull', OWN],
  [
    'more is asked for the same repository',
    'repository:library/app:metadata_read,pull',
    'repository:library/app:pull,metadata_read',
  ],
  ['it may write', 'repository:library/app:pull,push,delete,*', OWN],
  ['it is of another repository', 'repository:library/other:pull,metadata_read', OWN],
  ['it is GHCR’s placeholder', 'repository:user/image:pull', OWN],
  ['it is of another kind', 'registry:library/app:metadata_read', OWN],
  ['it is no scope', 'pull ::: *', OWN],
  [
    'there are several',
    'repository:library/other:pull repository:library/app:metadata_read',
    'repository:library/app:pull,metadata_read',
  ],
]

for (const [why, challenged, merged] of ROWS) {
  test(`the scope that is asked for is ${merged} where ${why}`, () => {
    assert.equal(mergedScope(OWN, challenged), merged)
  })
}

test('listing repositories needs all of the catalogue, whatever is challenged', () => {
  assert.equal(mergedScope(CATALOG_SCOPE, 'registry:catalog:*'), 'registry:catalog:*')
})

test('a repository may have a port in its name', () => {
  const own = pullScope('host:5000/app')

  assert.equal(mergedScope(own, `${own},metadata_read`), `${own},metadata_read`)
})
