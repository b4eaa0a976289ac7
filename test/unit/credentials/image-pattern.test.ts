import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imageAt, matchesImage, parseImagePattern } from '../../../src/credentials/image-pattern.ts'

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
