import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Pools } from '../../../../src/registry/transport/transport.ts'

const URL_OF_ANY = new URL('https://quay.io/')

function start(t: TestContext) {
  const connections = new Pools({})
  t.after(() => connections.close())
  return (key: string, proxy?: URL) => {
    const identity = { key, context: undefined, verify: true }
    return connections.pool(URL_OF_ANY, { reach: 'public', identity, proxy })
  }
}

test('connections are shared where reach, TLS and proxy are the same, and nowhere else', (t) => {
  const pool = start(t)
  const proxies = [new URL('http://a:3128'), new URL('http://b:3128')]

  const all = [pool('x'), pool('y'), ...proxies.map((proxy) => pool('x', proxy))]

  assert.equal(new Set(all).size, 4)
  assert.equal(pool('x'), all[0])
  assert.equal(pool('x', proxies[0]), all[2])
})

test('of more than 64 pools the least recently used are retired', (t) => {
  const pool = start(t)
  const [old, used] = [pool('old'), pool('used')]
  for (let at = 0; at < 62; at += 1) pool(`${at}`)
  pool('used')

  pool('one more')

  assert.equal(pool('used'), used)
  assert.notEqual(pool('old'), old)
})

test('nothing is asked any more after closing', async () => {
  const connections = new Pools({})
  const identity = { key: '', context: undefined, verify: true }
  await connections.close()

  const pool = connections.pool(URL_OF_ANY, { reach: 'public', identity, proxy: undefined })

  const { signal } = new AbortController()
  const request = pool.request({ url: URL_OF_ANY, method: 'GET', headers: {}, signal })
  await assert.rejects(request, { message: 'closed' })
})
