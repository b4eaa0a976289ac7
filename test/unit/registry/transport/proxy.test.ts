import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Proxies } from '../../../../src/registry/transport/proxy.ts'

const ADDRESSES = { http: 'http://proxy.corp:3128', https: 'http://proxy.corp:3129' }

function isDirect(no: string, url: string): boolean {
  return new Proxies({ ...ADDRESSES, no }).of(new URL(url)) === undefined
}

test('each scheme has a proxy of its own, or none', () => {
  const both = new Proxies(ADDRESSES)
  const one = new Proxies({ https: 'proxy.corp:3128', http: '', no: undefined })

  assert.equal(both.of(new URL('http://quay.io/'))?.host, 'proxy.corp:3128')
  assert.equal(both.of(new URL('https://quay.io/'))?.host, 'proxy.corp:3129')
  assert.equal(one.of(new URL('https://quay.io/'))?.href, 'http://proxy.corp:3128/')
  assert.equal(one.of(new URL('http://quay.io/')), undefined)
})

for (const host of ['localhost', 'a.localhost', 'localhost.', '127.0.0.1', '127.9.9.9', '[::1]']) {
  test(`${host} never goes through a proxy`, () => {
    assert.ok(isDirect('', `http://${host}:5000/`))
  })
}

const EXCEPTIONS: readonly [no: string, url: string, direct: boolean][] = [
  ['*', 'https://quay.io/', true],
  ['quay.io', 'https://quay.io/', true],
  ['QUAY.io', 'https://quay.io/', true],
  ['quay.io', 'https://cdn.quay.io/', true],
  ['quay.io', 'https://notquay.io/', false],
  ['.corp', 'https://a.corp/', true],
  ['.corp', 'https://corp/', false],
  ['*.corp', 'https://a.b.corp/', true],
  ['*.corp', 'https://corp/', false],
  ['a.corp, b.corp', 'https://b.corp/', true],
  ['a.corp b.corp', 'https://b.corp/', true],
  ['a.corp:5000', 'https://a.corp:5000/', true],
  ['a.corp:5000', 'https://a.corp/', false],
  ['a.corp:443', 'https://a.corp/', true],
  ['a.corp:80', 'http://a.corp/', true],
  ['10.0.0.0/8', 'http://10.1.2.3:5000/', true],
  ['10.0.0.0/8', 'http://11.1.2.3:5000/', false],
  ['10.0.0.0/8', 'http://10.corp/', false],
  ['10.1.2.3', 'http://10.1.2.3/', true],
  ['10.1.2.3:5000', 'http://10.1.2.3:5000/', true],
  ['2.3', 'http://10.1.2.3/', false],
  ['fd00::/8', 'http://[fd00::7]/', true],
  ['fd00::7', 'http://[fd00::7]:5000/', true],
  ['[fd00::7]:5000', 'http://[fd00::7]:5000/', true],
  ['[fd00::7]:5000', 'http://[fd00::7]:5001/', false],
  ['10.0.0.0/99, /8, x/8', 'http://10.1.2.3/', false],
  ['', 'https://quay.io/', false],
]

for (const [no, url, direct] of EXCEPTIONS) {
  test(`with NO_PROXY=${no} ${url} is asked ${direct ? 'directly' : 'through the proxy'}`, () => {
    assert.equal(isDirect(no, url), direct)
  })
}

for (const address of ['socks5://user:secret@proxy:1080', 'http://', 'http://user:secret@:99999']) {
  test(`${address} is no address of a proxy, and not repeated`, () => {
    assert.throws(
      () => new Proxies({ https: address }),
      (error) =>
        error instanceof Error &&
        /proxy\.https/.test(error.message) &&
        !/secret/.test(error.message),
    )
  })
}
