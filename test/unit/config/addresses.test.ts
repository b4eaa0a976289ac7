import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  detectRuntime,
  isLocalListen,
  isSameSocket,
  parseListen,
  parsePathTemplate,
  parseProxy,
  parseRealm,
  parseSocketPath,
  parseUpstream,
} from '../../../src/config/values.ts'
import { parseAddress } from '../../../src/registry/endpoint.ts'

const GOOD: readonly (readonly [string, string])[] = [
  ['docker.io', 'docker.io'],
  ['index.docker.io', 'docker.io'],
  ['registry-1.docker.io', 'docker.io'],
  ['Quay.io', 'quay.io'],
  ['hub.corp:5000', 'hub.corp:5000'],
  ['hub:5000', 'hub:5000'],
  ['localhost', 'localhost'],
  ['[::1]:5000', '[::1]:5000'],
  ['*.corp', '*.corp'],
  ['*.Eu.Corp:5000', '*.eu.corp:5000'],
  ['quay.io/team', 'quay.io/team'],
  ['index.docker.io/library/nginx', 'docker.io/library/nginx'],
  ['hub.corp:5000/a/b__c', 'hub.corp:5000/a/b__c'],
]

for (const [written, domain] of GOOD) {
  test(`the upstream ${written} is ${domain}`, () => {
    assert.equal(parseUpstream(written), domain)
  })
}

for (const text of [
  'https://quay.io',
  'quay.io/',
  'quay.io//team',
  'quay.io/Team',
  'quay.io/team:1.0',
  `quay.io/${'a'.repeat(255)}`,
  '*',
  '*.',
  '*.corp/team',
  '*.[::1]',
  'a.*.corp',
  '*corp',
  'hub',
  'hub/team',
  '',
  'a b.c',
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is refused as an upstream, with the forms that are allowed`, () => {
    assert.throws(() => parseUpstream(text), /is not what images are named by; .*quay\.io\/team/)
  })
}

for (const text of [
  '{path}',
  '{domain}/{path}',
  'mirrors/{domain}/{path}',
  'cache-{domain}/{path}',
  '{path}/cached',
]) {
  test(`${text} is where a registry may keep what it serves`, () => {
    assert.equal(parsePathTemplate(text), text)
  })
}

for (const text of ['', 'mirror', '{domain}', '{Path}', '{ path }']) {
  test(`${JSON.stringify(text)} is refused, since it would make one repository of all images`, () => {
    assert.throws(
      () => parsePathTemplate(text),
      /has no \{path\}, so every image .* as in \{domain\}/,
    )
  })
}

for (const text of [
  '/{path}',
  '{path}/',
  'a//{path}',
  'Mirror/{path}',
  '{host}/{path}',
  '_{path}',
  'a b/{path}',
  'a:5000/{path}',
  `${'a'.repeat(255)}/{path}`,
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is refused, since no repository is called so`, () => {
    assert.throws(() => parsePathTemplate(text), /makes no name of a repository; write it of/)
  })
}

test('a socket may be written as a path or as a unix URL', () => {
  assert.equal(parseSocketPath('/run/x.sock'), '/run/x.sock')
  assert.equal(parseSocketPath('unix:///run/x.sock'), '/run/x.sock')
})

test('a socket needs an absolute path', () => {
  for (const text of ['run/x.sock', 'unix://run/x.sock', 'tcp://127.0.0.1:1', '']) {
    assert.throws(() => parseSocketPath(text), /is not an absolute path; start it with \//)
  }
})

test('a path that the kernel cannot bind is refused', () => {
  assert.equal(parseSocketPath(`/${'x'.repeat(106)}`).length, 107)
  assert.throws(() => parseSocketPath(`/${'x'.repeat(107)}`), /at most 107 bytes, this one 108/)
})

test('containerd is found before CRI-O, and CRI-O before cri-dockerd', () => {
  const all = ['/run/cri-dockerd.sock', '/run/crio/crio.sock', '/run/containerd/containerd.sock']

  const found = [3, 2, 1, 0].map((count) => {
    const there = new Set(all.slice(0, count))
    return detectRuntime((path) => there.has(path))
  })

  assert.deepEqual(found, [
    '/run/containerd/containerd.sock',
    '/run/crio/crio.sock',
    '/run/cri-dockerd.sock',
    undefined,
  ])
})

test('/var/run and /run are one folder', () => {
  assert.equal(isSameSocket('/var/run/x.sock', '/run//x.sock'), true)
  assert.equal(isSameSocket('/var/run/x.sock', '/run/y.sock'), false)
})

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

test('a token service is named by its host, in lower case, and perhaps its port', () => {
  const written = ['auth.corp', 'Auth.Corp:8443', 'auth', '10.0.0.7', '[FD00::7]:8443']

  assert.deepEqual(written.map(parseRealm), [
    'auth.corp',
    'auth.corp:8443',
    'auth',
    '10.0.0.7',
    '[fd00::7]:8443',
  ])
})

for (const text of [
  '',
  'https://auth.corp',
  'auth.corp/token',
  'a b',
  'auth:65536',
  '*.corp',
  '::1',
]) {
  test(`${JSON.stringify(text)} is refused as the host of a token service`, () => {
    assert.throws(() => parseRealm(text), /is not the host of a token service; write host or/)
  })
}

for (const text of ['5', '127.1', '0x7f.1', '5:5000', 'true', 'False:80']) {
  test(`${text} is no host: neither of a registry, nor of a proxy, nor of a token service`, () => {
    for (const parse of [parseAddress, parseProxy, parseRealm]) {
      assert.throws(() => parse(text), { code: 'CONFIG_INVALID' }, parse.name)
    }
    assert.throws(() => parseAddress(`http://${text}/library`), /is a number or a truth value/)
    assert.throws(() => parseProxy(`http://user:5@${text}`), { code: 'CONFIG_INVALID' })
  })
}

test('hosts that have numbers in their names, and whole addresses, are hosts', () => {
  for (const text of [
    '10.0.0.5:5000',
    '5.corp',
    'r5:80',
    '[::1]:5000',
    'hub-5.corp',
    'truehub.corp',
  ]) {
    parseAddress(text)
    parseProxy(text)
    parseProxy(`http://user:5@${text}`)
    parseRealm(text)
  }
})
