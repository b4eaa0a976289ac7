import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRewrite } from '../../../src/config/sources/hosts-rewrite.ts'
import { ResolveError } from '../../../src/errors.ts'

/** The last column is what ReplaceAllString of Go 1.26 answers. */
const GO: readonly [expression: string, replacement: string, path: string, expected: string][] = [
  [
    '^rancher/(.*)',
    'mirrorproject/rancher-images/$1',
    'rancher/rke2-runtime',
    'mirrorproject/rancher-images/rke2-runtime',
  ],
  ['^rancher/(.*)', 'mirrorproject/rancher-images/$1', 'library/nginx', 'library/nginx'],
  ['(.*)', 'oci-dockerhub-proxy/$1', 'library/nginx', 'oci-dockerhub-proxy/library/nginx'],
  ['^(.*)$', 'proxy/$1', 'library/nginx', 'proxy/library/nginx'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Go's way to name a group.
  ['^(?P<org>[^/]+)/(?P<name>.+)$', '${name}/${org}', 'team/app', 'app/team'],
  ['^(.*)$', '$1x', 'library/nginx', ''],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Go's way to name a group.
  ['^(.*)$', '${1}x', 'library/nginx', 'library/nginxx'],
  ['^(.*)$', 'a/$2b$$c$', 'library/nginx', 'a/$c$'],
  ['^(.*)$', 'a/$9$0', 'library/nginx', 'a/library/nginx'],
  ['^(.*)$', 'a/$01', 'library/nginx', 'a/'],
  ['^library/', '', 'library/nginx', 'nginx'],
  ['^', 'mirror/', 'library/nginx', 'mirror/library/nginx'],
  ['a*', 'x', 'baac', 'xbxcx'],
  ['/', '-', 'a/b/c', 'a-b-c'],
  ['(?i)^LIBRARY/', 'hub/', 'library/nginx', 'hub/nginx'],
  ['^(a|ab)(c|bcd)(d*)$', '$1-$2-$3', 'abcd', 'a-bcd-'],
  ['[[:alpha:]]+', 'w', 'a1/b2', 'w1/w2'],
  ['^(x)?(.*)$', '<$1>$2', 'abc', '<>abc'],
  ['^\\Qa.b\\E/', 'c/', 'a.b/d', 'c/d'],
  ['^(.*)$', 'a/${1', 'library/nginx', 'a/${1'],
]

for (const [expression, replacement, path, expected] of GO) {
  test(`${expression} with ${replacement} makes of ${path} what Go makes of it`, async () => {
    const rewrite = await parseRewrite({ [expression]: replacement }, 'rewrite')

    assert.equal(rewrite.apply(path), expected)
  })
}

test('the rule that changes a path is the one that counts', async () => {
  const rewrite = await parseRewrite(
    { '^rancher/(.*)': 'a/$1', '^library/(.*)': 'b/$1', '^none$': 'c' },
    'rewrite',
  )

  assert.equal(rewrite.apply('library/nginx'), 'b/nginx')
  assert.equal(rewrite.apply('team/app'), 'team/app')
})

test('rules that contradict each other name no path', async () => {
  const rewrite = await parseRewrite({ '^library/(.*)': 'a/$1', '(.*)': 'b/$1' }, 'rewrite')

  assert.equal(rewrite.apply('library/nginx'), undefined)
  assert.equal(rewrite.apply('team/app'), 'b/team/app')
})

test('rules are a part of what a configuration is compared by', async () => {
  const rewrite = await parseRewrite({ '^a/': 'b/' }, 'rewrite')

  assert.equal(JSON.stringify(rewrite), '{"rules":[["^a/","b/"]]}')
})

const MISTAKES: readonly [value: unknown, message: RegExp][] = [
  [[{ regex: '^a', replace: 'b' }], /expected a table of regular expressions/],
  ['^a', /expected a table/],
  [{ '^a': 1 }, /expected text/],
  [{ '(?=a)': 'b' }, /not a Go regular expression: .*\(\?=/],
  [{ '(': 'b' }, /not a Go regular expression/],
  [{ '(a{1000}){1000}': 'b' }, /repeat count/],
  [{ a: 'b'.repeat(1_000) }, /longer than 1000/],
  [Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`a${n}`, 'b'])), /more than 64/],
]

for (const [value, message] of MISTAKES) {
  test(`the table ${JSON.stringify(value).slice(0, 40)} is refused`, async () => {
    await assert.rejects(
      parseRewrite(value, 'rewrite'),
      (error) =>
        error instanceof ResolveError &&
        error.code === 'CONFIG_INVALID' &&
        message.test(error.message),
    )
  })
}

test('a name that would take a backtracking engine years is matched at once', async () => {
  const rewrite = await parseRewrite({ '^(a+)+$': 'b' }, 'rewrite')

  assert.equal(rewrite.apply(`${'a'.repeat(200)}/`), `${'a'.repeat(200)}/`)
})
