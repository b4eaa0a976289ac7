import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../../src/config/config.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { fieldsForNextStart } from '../../../src/config/watch.ts'

function config(text: string): Config {
  return parseConfig(text, { file: '/etc/x.yaml', socketExists: () => false, env: {} }).config
}

test('a change that holds at once waits for no start', () => {
  const started = config('address: a.b:5000\n')
  const next = config(
    'address: c.d:5000\ncache: {tagTTL: 5s}\nonResolveError: reject\nreloadInterval: 1s\n',
  )

  assert.deepEqual(fieldsForNextStart(started, next), [])
})

for (const [text, field] of [
  ['shim: /run/other.sock\n', 'shim'],
  ['force: true\n', 'force'],
  ['debug: true\n', 'debug'],
  ['image: /var/lib/other\n', 'image'],
  ['version: v1\n', 'version'],
  ['timeout: 1m\n', 'timeout'],
  ['cache: {statsLogInterval: 2m}\n', 'cache.statsLogInterval'],
  ['cache: {disableStats: true}\n', 'cache.disableStats'],
  ['http: {listen: "127.0.0.1:1"}\n', 'http.listen'],
  ['http: {token: secret}\n', 'http.token'],
  ['http: {tokenFile: /etc/token}\n', 'http.tokenFile'],
  ['http: {tls: {cert: /c, key: /k}}\n', 'http.tls'],
  ['http: {rateLimit: 5}\n', 'http.rateLimit'],
  ['mirror: {enabled: true}\n', 'mirror.enabled'],
  ['mirror: {blobs: 200}\n', 'mirror.blobs'],
  ['mirror: {blobsPerClient: 5}\n', 'mirror.blobsPerClient'],
] as const) {
  test(`a change of ${field} waits for the next start`, () => {
    assert.deepEqual(fieldsForNextStart(config(''), config(text)), [field])
  })
}

test('a change of http.events, which needs a token, waits for the next start', () => {
  const next = config('http: {token: secret, events: true}\n')

  assert.deepEqual(fieldsForNextStart(config('http: {token: secret}\n'), next), ['http.events'])
})

test('another runtime waits for the next start', () => {
  const started = config('cri: /run/a.sock\n')
  const next = config('cri: /run/b.sock\n')

  assert.deepEqual(fieldsForNextStart(started, next), ['cri'])
})

test('a runtime that is not configured may appear and vanish', () => {
  const absent = config('')
  const present = { ...absent, cri: '/run/a.sock' }

  assert.deepEqual(fieldsForNextStart(absent, present), [])
  assert.deepEqual(fieldsForNextStart(present, absent), [])
})
