import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLocalListen, parseListen } from '../../../src/config/addresses.ts'

test('the HTTP API listens on a host and port or on a unix socket', () => {
  assert.deepEqual(parseListen('127.0.0.1:9430'), { kind: 'tcp', host: '127.0.0.1', port: 9430 })
  assert.deepEqual(parseListen('localhost:0'), { kind: 'tcp', host: 'localhost', port: 0 })
  assert.deepEqual(parseListen('[::1]:80'), { kind: 'tcp', host: '::1', port: 80 })
  assert.deepEqual(parseListen('unix:///run/x.sock'), { kind: 'unix', path: '/run/x.sock' })
})

for (const text of [
  '9430',
  ':9430',
  'host',
  '::1:9430',
  '[x]:1',
  'a b:1',
  'http://x:1',
  'x:-1',
  '',
]) {
  test(`${JSON.stringify(text)} is refused as a place to listen`, () => {
    assert.throws(
      () => parseListen(text),
      /is not host:port or unix:\/\/\/path; write 127.0.0.1:9430/,
    )
  })
}

test('a port above 65535 and a socket without its path are refused', () => {
  assert.throws(() => parseListen('127.0.0.1:65536'), /port 65536 is above 65535/)
  assert.throws(() => parseListen('unix://x'), /not an absolute path/)
})

test('loopback and unix sockets are local, everything else is not', () => {
  const local = ['127.0.0.1:1', '127.8.8.8:1', 'localhost:1', '[::1]:1', 'unix:///x']
  const open = ['0.0.0.0:1', '[::]:1', '10.0.0.1:1', 'node.corp:1']

  assert.deepEqual(
    local.map((text) => isLocalListen(parseListen(text))),
    local.map(() => true),
  )
  assert.deepEqual(
    open.map((text) => isLocalListen(parseListen(text))),
    open.map(() => false),
  )
})
