import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VERSION } from '../../../api/version.ts'
import {
  documentErrors,
  openApp,
  SOME_CHECK,
  someService,
  WITH_TOKEN,
} from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

test('GET /config is a configuration file', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, '/config')

  assert.equal(response.headers['content-type'], 'application/yaml; charset=utf-8')
  assert.equal(response.body, await someService().config())
})

test('GET /version is which program this is', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, '/version')

  const node = process.versions.node
  assert.deepEqual(response.json(), { version: VERSION, commit: null, node })
})

test('GET /stats is numbers of now, that nobody may keep', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, '/stats')

  assert.deepEqual(response.json(), someService().stats())
  assert.equal(response.headers['cache-control'], 'no-store')
})

test('GET /stats/history is the last day, that nobody may keep', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, '/stats/history')

  assert.deepEqual(response.json(), someService().history())
  assert.deepEqual(await documentErrors('StatsHistoryResponse', response.json()), [])
  assert.equal(response.headers['cache-control'], 'no-store')
})

test('GET /cache is told for the token alone, as many answers as are wanted', async (t) => {
  const asked: number[] = []
  const service = someService()
  const cached = (n: number) => {
    asked.push(n)
    return service.cached(n)
  }
  const app = await openApp(t, { service: { ...service, cached } })

  const refused = await ask(app, '/cache')
  const response = await ask(app, { url: '/cache', headers: WITH_TOKEN })
  await ask(app, { url: '/cache?n=1000', headers: WITH_TOKEN })
  const tooMany = await ask(app, { url: '/cache?n=1001', headers: WITH_TOKEN })

  assert.equal(refused.statusCode, 401)
  assert.equal(tooMany.statusCode, 400)
  assert.deepEqual(response.json(), service.cached(100))
  assert.deepEqual(await documentErrors('CacheResponse', response.json()), [])
  assert.deepEqual(asked, [100, 1_000])
})

test('GET /metrics is written once for all who ask in the same turn of the event loop, and then anew', async (t) => {
  let written = 0
  const metrics = async () => {
    written += 1
    return { contentType: 'text/plain', text: `written ${written}\n` }
  }
  const app = await openApp(t, { service: { ...someService(), metrics } })
  const get = () => app.inject({ url: '/metrics' })

  const together = await Promise.all(Array.from({ length: 20 }, get))
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  const after = await get()

  assert.deepEqual(new Set(together.map(({ body }) => body)), new Set(['written 1\n']))
  assert.equal(after.body, 'written 2\n')
})

test("GET /metrics is in Prometheus' text format", async (t) => {
  const app = await openApp(t)

  const response = await ask(app, '/metrics')

  assert.equal(response.headers['content-type'], 'text/plain; version=0.0.4')
  assert.equal(response.body, 'up 1\n')
})

test('a fault of ours is told by its code alone', async (t) => {
  const fail = (): never => {
    throw new TypeError('internals')
  }
  const service = {
    config: fail,
    stats: fail,
    history: fail,
    cached: fail,
    metrics: async () => fail(),
  }
  const app = await openApp(t, { service })

  for (const url of ['/config', '/stats', '/stats/history', '/cache', '/metrics']) {
    const response = await ask(app, { url, headers: WITH_TOKEN })

    assert.equal(response.statusCode, 500)
    assert.ok(!response.body.includes('internals'))
  }
})

for (const url of [
  '/images',
  '/check',
  '/registries',
  '/version',
  '/config',
  '/stats',
  '/stats/history',
  '/metrics',
  '/openapi.json',
]) {
  test(`${url} refuses every query parameter by name`, async (t) => {
    const app = await openApp(t)

    const response = await ask(app, { url: `${url}?pretty=true`, headers: WITH_TOKEN })

    assert.equal(response.statusCode, 400)
    assert.match(response.json().errors[0].message, /unknown query parameter 'pretty'/)
  })
}

test('GET /check shows the last check of the images in use, as the document says', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, { url: '/check', headers: WITH_TOKEN })

  assert.deepEqual(response.json(), SOME_CHECK)
  assert.deepEqual(await documentErrors('CheckResponse', response.json()), [])
})

test('a door that is given less has fewer routes', async (t) => {
  const bare = {
    check: undefined,
    node: undefined,
    pulls: undefined,
    registries: undefined,
    service: undefined,
  }
  const app = await openApp(t, bare as unknown as object)

  for (const url of ['/images', '/registries', '/config']) {
    const response = await app.inject(url)

    assert.equal(response.json().errors[0].code, 'ROUTE_UNKNOWN')
  }
})
