import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  imageAt,
  Keyring,
  matchesGlob,
  matchesImage,
  parseGlob,
  parseImagePattern,
} from '../../../src/credentials/image-pattern.ts'
import { cpuMs } from '../../support/cpu-time.ts'

// The rules and most hosts are those of kubernetes.io, "Interpretation of config.json" and
// "Configure a kubelet image credential provider".
const MATCHES: readonly [pattern: string, host: string, repository: string, expected: boolean][] = [
  ['registry.io', 'registry.io', 'team/app', true],
  ['registry.io', 'registry.io.evil.com', 'team/app', false],
  ['*.kubernetes.io', 'abc.kubernetes.io', 'app', true],
  ['*.kubernetes.io', 'kubernetes.io', 'app', false],
  ['*.kubernetes.io', 'abc.def.kubernetes.io', 'app', false],
  ['*.*.kubernetes.io', 'abc.def.kubernetes.io', 'app', true],
  ['prefix.*.io', 'prefix.kubernetes.io', 'app', true],
  ['*-good.kubernetes.io', 'prefix-good.kubernetes.io', 'app', true],
  ['k*.io', 'quay.io', 'app', false],
  ['kubernetes.*', 'kubernetes.com', 'app', true],
  ['*', 'localhost', 'app', true],
  ['*', 'registry.io', 'app', false],
  ['registry.io:8080', 'registry.io:8080', 'app', true],
  ['registry.io:8080', 'registry.io', 'app', false],
  ['registry.io', 'registry.io:8080', 'app', false],
  ['*.io:8080/path', 'registry.io:8080', 'path/app', true],
  ['registry.io/team', 'registry.io', 'team/app', true],
  ['registry.io/team', 'registry.io', 'other/app', false],
  ['registry.io/team', 'registry.io', 'team2/app', true],
  ['registry.io/team/', 'registry.io', 'team2/app', false],
  ['registry.io/*', 'registry.io', 'team/app', false],
  ['https://registry.io', 'registry.io', 'app', true],
  ['http://registry.io/', 'registry.io', 'app', true],
  ['https://registry.io/v1/', 'registry.io', 'app', true],
  ['https://registry.io/v2/team', 'registry.io', 'team/app', true],
  ['https://registry.io/v2/team', 'registry.io', 'other/app', false],
  ['REGISTRY.io', 'registry.io', 'app', true],
  ['[::1]:5000', '[::1]:5000', 'app', true],
  ['[::1]:5000', '[::2]:5000', 'app', false],
  ['10.0.0.*', '10.0.0.7', 'app', true],
  ['https://index.docker.io/v1/', 'registry-1.docker.io', 'library/nginx', true],
  ['https://index.docker.io/v1/', 'docker.io', 'library/nginx', true],
  ['docker.io', 'registry-1.docker.io', 'library/nginx', true],
  ['https://registry.hub.docker.com/v2/', 'registry-1.docker.io', 'library/nginx', true],
  ['hub.docker.com', 'docker.io', 'library/nginx', true],
  ['docker.io', 'registry.hub.docker.com', 'library/nginx', true],
  ['docker.io/team', 'registry-1.docker.io', 'library/nginx', false],
  ['*.docker.io', 'registry-1.docker.io', 'library/nginx', false],
  ['https://index.docker.io/v1/', 'registry.io', 'library/nginx', false],
]

for (const [pattern, host, repository, expected] of MATCHES) {
  test(`${pattern} is ${expected ? '' : 'not '}for ${host}/${repository}`, () => {
    const parsed = parseImagePattern(pattern)

    assert.ok(parsed !== undefined)
    assert.equal(matchesImage(parsed, imageAt(host, repository)), expected)
  })
}

test('what names no host is no pattern', () => {
  const texts = [
    '',
    '/',
    'https://',
    'user:password@registry.io',
    'registry.io:port',
    '[a.io',
    'a?b',
  ]

  assert.deepEqual(
    texts.filter((text) => parseImagePattern(text) !== undefined).map((text) => text),
    ['a?b'],
  )
})

const GLOBS: readonly [pattern: string, text: string, expected: boolean][] = [
  ['corp', 'corp', true],
  ['corp', 'corps', false],
  ['corp', 'cor', false],
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'anything', true],
  ['app*', 'app', true],
  ['app*', 'app-1', true],
  ['app*', 'ap', false],
  ['*app', 'my-app', true],
  ['a*b*c', 'aXbXbXc', true],
  ['a*b*c', 'aXbXb', false],
  ['*-*', 'a-b', true],
  ['**', 'a', true],
  ['?', 'a', true],
  ['?', '', false],
  ['?', 'ab', false],
  ['a?c', 'abc', true],
  ['[a-c]x', 'bx', true],
  ['[a-c]x', 'dx', false],
  ['[^a-c]x', 'dx', true],
  ['[^a-c]x', 'ax', false],
  ['[abc0-9]', '7', true],
  ['[a\\-z]', '-', true],
  ['[a\\-z]', 'm', false],
  ['\\*', '*', true],
  ['\\*', 'a', false],
]

for (const [pattern, text, expected] of GLOBS) {
  test(`"${pattern}" ${expected ? 'matches' : 'does not match'} "${text}"`, () => {
    const glob = parseGlob(pattern)

    assert.ok(glob !== undefined)
    assert.equal(matchesGlob(glob, text), expected)
  })
}

test('a malformed pattern is none', () => {
  const patterns = ['[', '[]', '[a', 'a]b[', '[a-]', '[-a]', '\\', '[^]']

  assert.deepEqual(
    patterns.filter((pattern) => parseGlob(pattern) !== undefined),
    [],
  )
})

test('a pattern of many stars takes no time', () => {
  const glob = parseGlob(`${'*a'.repeat(40)}b`)

  const ms = cpuMs(() => assert.equal(matchesGlob(glob ?? [], 'a'.repeat(5_000)), false))

  // Where every star is tried with every end it takes for ever.
  assert.ok(ms < 2_000, `${ms} ms`)
})

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
