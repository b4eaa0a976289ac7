import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Environment } from '../../../src/config/config.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { printConfig } from '../../../src/config/print.ts'
import { problemsIn } from '../../support/config.ts'

const NONE = { http: undefined, https: undefined, no: undefined }

function load(text: string, env: Environment) {
  const loaded = parseConfig(text, { file: '/etc/x.yaml', socketExists: () => false, env })
  return { ...loaded, proxy: loaded.config.proxy }
}

test('without a section the proxies of the environment are used, by either spelling of their names', () => {
  const { proxy, warnings } = load('', {
    HTTP_PROXY: 'upper:1',
    http_proxy: 'lower:1',
    https_proxy: 'https://lower:2/',
    NO_PROXY: '*',
  })

  assert.deepEqual(proxy, { http: 'http://upper:1', https: 'https://lower:2', no: '*' })
  assert.deepEqual(warnings, [])
})

test('without a section and without variables, or with empty ones, there is no proxy', () => {
  const empty = { HTTP_PROXY: '', https_proxy: '', NO_PROXY: '' }

  assert.deepEqual(load('', {}).proxy, NONE)
  assert.deepEqual(load('', empty).proxy, NONE)
})

test('with a section, even an empty one, the environment does not count', () => {
  const env = { HTTP_PROXY: 'a:1', HTTPS_PROXY: 'a:1', NO_PROXY: '.corp' }

  assert.deepEqual(load('proxy: {}', env).proxy, NONE)
  assert.deepEqual(load('proxy: {https: b:2}', env).proxy, {
    ...NONE,
    https: 'http://b:2',
  })
})

test('a proxy of the environment that cannot be is left out with a warning, without its text', () => {
  const { proxy, warnings } = load('', { HTTPS_PROXY: 'socks5://u:hunter2@a:1' })

  assert.deepEqual(proxy, NONE)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /^HTTPS_PROXY of the environment: not a proxy; write http/)
  assert.doesNotMatch(warnings[0] ?? '', /hunter2/)
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
    const [problem, ...others] = problemsIn(`proxy: {http: ${JSON.stringify(text)}}`)

    assert.equal(problem?.path, 'proxy.http')
    assert.match(problem.message, /^not a proxy; write http:\/\/host:port/)
    assert.doesNotMatch(problem.message, /hunter2/)
    assert.deepEqual(others, [])
  })
}

test('user and password of a proxy are hidden where it is printed', () => {
  for (const [written, shown] of [
    ['http://u:p@a:1', 'http://***:***@a:1'],
    ['https://token@a', 'https://***@a'],
    ['http://a:1', 'http://a:1'],
  ]) {
    const printed = printConfig(load(`proxy: {http: "${written}"}`, {}).config)

    assert.match(printed, new RegExp(`\\n  http: ${shown?.replaceAll('*', '\\*')}\\n`))
  }
})
