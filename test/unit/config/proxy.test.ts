import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Diagnostics } from '../../../src/config/diagnostics.ts'
import { hideProxySecrets, proxyConfig } from '../../../src/config/proxy.ts'

const NONE = { http: undefined, https: undefined, no: undefined }

test('without a section the proxies of the environment are used, by either spelling of their names', () => {
  const diagnostics = new Diagnostics()

  const proxy = proxyConfig(
    undefined,
    {
      HTTP_PROXY: 'upper:1',
      http_proxy: 'lower:1',
      https_proxy: 'https://lower:2/',
      NO_PROXY: '*',
    },
    diagnostics,
  )

  assert.deepEqual(proxy, { http: 'http://upper:1', https: 'https://lower:2', no: '*' })
  assert.deepEqual(diagnostics.warnings, [])
})

test('without a section and without variables, or with empty ones, there is no proxy', () => {
  const empty = { HTTP_PROXY: '', https_proxy: '', NO_PROXY: '' }

  assert.deepEqual(proxyConfig(undefined, {}, new Diagnostics()), NONE)
  assert.deepEqual(proxyConfig(undefined, empty, new Diagnostics()), NONE)
})

test('with a section, even an empty one, the environment does not count', () => {
  const env = { HTTP_PROXY: 'a:1', HTTPS_PROXY: 'a:1', NO_PROXY: '.corp' }

  assert.deepEqual(proxyConfig({}, env, new Diagnostics()), NONE)
  assert.deepEqual(proxyConfig({ https: 'b:2' }, env, new Diagnostics()), {
    ...NONE,
    https: 'http://b:2',
  })
})

test('a proxy of the environment that cannot be is left out with a warning, without its text', () => {
  const diagnostics = new Diagnostics()

  const proxy = proxyConfig(undefined, { HTTPS_PROXY: 'socks5://u:hunter2@a:1' }, diagnostics)

  assert.deepEqual(proxy, NONE)
  assert.equal(diagnostics.warnings.length, 1)
  assert.match(
    diagnostics.warnings[0] ?? '',
    /^HTTPS_PROXY of the environment: not a proxy; write http/,
  )
  assert.doesNotMatch(diagnostics.warnings[0] ?? '', /hunter2/)
})

for (const text of [
  'socks5://a:1',
  'http://',
  'http://a:1/path',
  'a:1?x',
  'a b',
  'u:hunter2@a:x',
]) {
  test(`${text} is refused as a proxy, and not repeated`, () => {
    const diagnostics = new Diagnostics()

    proxyConfig({ http: text }, {}, diagnostics)

    assert.deepEqual(
      diagnostics.problems.map(({ path }) => path),
      ['proxy.http'],
    )
    assert.match(diagnostics.problems[0]?.message ?? '', /^not a proxy; write http:\/\/host:port/)
    assert.doesNotMatch(diagnostics.problems[0]?.message ?? '', /hunter2/)
  })
}

test('user and password of a proxy are hidden where it is printed', () => {
  assert.equal(hideProxySecrets('http://u:p@a:1'), 'http://***:***@a:1')
  assert.equal(hideProxySecrets('https://token@a'), 'https://***@a')
  assert.equal(hideProxySecrets('http://a:1'), 'http://a:1')
})
