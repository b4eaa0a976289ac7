import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import {
  endpointName,
  endpointUrl,
  isLoopbackHost,
  originEndpoint,
  parseAddress,
} from '../../../src/registry/endpoint.ts'

const ADDRESSES: readonly [text: string, url: string, name: string][] = [
  ['sealos.hub:5000', 'https://sealos.hub:5000', 'sealos.hub:5000'],
  ['http://host.corp:5000', 'http://host.corp:5000', 'host.corp:5000'],
  ['HTTPS://Harbor.Corp/proxy-docker', 'https://harbor.corp', 'harbor.corp/proxy-docker'],
  ['https://harbor.corp/a/b_c//', 'https://harbor.corp', 'harbor.corp/a/b_c'],
  ['harbor.corp/', 'https://harbor.corp', 'harbor.corp'],
  [' harbor.corp ', 'https://harbor.corp', 'harbor.corp'],
  ['192.168.1.1:5000', 'https://192.168.1.1:5000', '192.168.1.1:5000'],
  ['localhost', 'http://localhost', 'localhost'],
  ['localhost:5000', 'http://localhost:5000', 'localhost:5000'],
  ['127.0.0.2:5000', 'http://127.0.0.2:5000', '127.0.0.2:5000'],
  ['[::1]:5000', 'http://[::1]:5000', '[::1]:5000'],
  ['[fd00::5]:5000/proxy', 'https://[fd00::5]:5000', '[fd00::5]:5000/proxy'],
  ['https://localhost:5000', 'https://localhost:5000', 'localhost:5000'],
  ['harbor.corp:443', 'https://harbor.corp:443', 'harbor.corp:443'],
  ['http://hub', 'http://hub:80', 'hub:80'],
  ['hub', 'https://hub:443', 'hub:443'],
  ['https://index.docker.io/v1/', 'https://index.docker.io', 'index.docker.io'],
  ['http://hub.corp:5000/v2/', 'http://hub.corp:5000', 'hub.corp:5000'],
  ['hub.corp:5000/v2', 'https://hub.corp:5000', 'hub.corp:5000'],
  ['https://harbor.corp/v2/proxy', 'https://harbor.corp', 'harbor.corp/proxy'],
  ['https://harbor.corp/v2ray', 'https://harbor.corp', 'harbor.corp/v2ray'],
  ['https://harbor.corp/team/v2', 'https://harbor.corp', 'harbor.corp/team/v2'],
]

for (const [text, url, name] of ADDRESSES) {
  test(`the address ${JSON.stringify(text)} is asked at ${url} and called ${name}`, () => {
    const endpoint = parseAddress(text)

    assert.equal(endpointUrl(endpoint), url)
    assert.equal(endpointName(endpoint), name)
  })
}

const MISTAKES: readonly [text: string, message: RegExp][] = [
  ['', /no host/],
  ['http://', /no host/],
  ['http:///x', /no host/],
  ['ftp://host.corp', /scheme ftp: write http/],
  ['unix:///run/x.sock', /scheme unix/],
  ['host.corp?x=1', /query or fragment/],
  ['host.corp/a#b', /query or fragment/],
  ['host.corp:0', /port 0/],
  ['host.corp:65536', /port between 1 and 65535/],
  ['host.corp:port', /host or host:port/],
  ['host.corp:', /host or host:port/],
  ['::1', /brackets/],
  ['fd00::5:5000', /brackets/],
  ['[::1', /host or host:port/],
  ['[1.2.3.4]', /host or host:port/],
  ['-host.corp', /host or host:port/],
  ['host_name:5000', /host or host:port/],
  ['host.corp/Upper', /path/],
  ['host.corp/a//b', /path/],
  ['host.corp/../b', /path/],
  ['host.corp/%2e', /path/],
]

for (const [text, message] of MISTAKES) {
  test(`the address ${JSON.stringify(text)} is refused with a hint`, () => {
    assert.throws(
      () => parseAddress(text),
      (error) =>
        error instanceof ResolveError &&
        error.code === 'CONFIG_INVALID' &&
        message.test(error.message),
    )
  })
}

test('an address with credentials is refused without repeating them', () => {
  assert.throws(
    () => parseAddress('https://user:hunter2@host.corp'),
    (error) => error instanceof ResolveError && !/hunter2|user:/.test(error.message),
  )
})

test('Docker Hub answers at its own API host, whichever of its names is used', () => {
  const endpoint = { scheme: 'https', host: 'registry-1.docker.io', prefix: '' }

  assert.deepEqual(originEndpoint('docker.io'), endpoint)
  assert.deepEqual(originEndpoint('index.docker.io'), endpoint)
  assert.deepEqual(originEndpoint('registry-1.docker.io'), endpoint)
})

test('an origin is asked over https, on loopback over http', () => {
  assert.equal(endpointUrl(originEndpoint('Quay.io')), 'https://quay.io')
  assert.equal(endpointUrl(originEndpoint('host.corp:5000')), 'https://host.corp:5000')
  assert.equal(endpointUrl(originEndpoint('localhost:5000')), 'http://localhost:5000')
})

test('loopback is localhost, 127.0.0.0/8 and ::1, and no name that only looks like it', () => {
  assert.ok(['localhost', 'localhost:1', '127.9.9.9', '[::1]:5'].every(isLoopbackHost))
  assert.ok(!['localhost.corp', '127.corp', 'a.localhost:1', '[::2]'].some(isLoopbackHost))
})

for (const secret of [
  'https://hub.corp/?token=hunter2',
  'hub.corp/team#hunter2',
  'ftp://h?k=hunter2',
]) {
  test(`what follows ${secret.replace('hunter2', 'SECRET')} in an address is not repeated`, () => {
    assert.throws(
      () => parseAddress(secret),
      (error: Error) => /query or fragment/.test(error.message) && !/hunter2/.test(error.message),
    )
  })
}
