import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InjectOptions } from 'fastify'
import { load } from 'js-yaml'
import { openapiDocument } from '../../../scripts/openapi-document.ts'
import { documentErrors, openApp } from '../../support/http-app.ts'

test('an unknown path is a 404 that cannot be mistaken for an unknown image', async (t) => {
  const app = await openApp(t)

  const response = await app.inject('/v2/?x=1')

  assert.equal(response.statusCode, 404)
  assert.deepEqual(await documentErrors('ErrorResponse', response.json()), [])
  assert.equal(response.json().errors[0].code, 'ROUTE_UNKNOWN')
  assert.match(response.json().errors[0].message, /^there is no \/v2\/;/)
})

const otherMethods: readonly InjectOptions[] = [
  { method: 'POST', payload: '{ not JSON', headers: { 'content-type': 'application/json' } },
  { method: 'PUT', payload: 'x', headers: { 'content-type': 'application/x-unheard-of' } },
  { method: 'DELETE' },
  { method: 'OPTIONS' },
]

for (const options of otherMethods) {
  test(`${options.method} is a 405 that says what is allowed`, async (t) => {
    const app = await openApp(t)

    const response = await app.inject({ ...options, url: '/livez' })

    assert.equal(response.statusCode, 405)
    assert.equal(response.headers['allow'], 'GET, HEAD')
    assert.deepEqual(await documentErrors('ErrorResponse', response.json()), [])
    assert.equal(response.json().errors[0].code, 'METHOD_UNSUPPORTED')
  })
}

test('a path that is no URL is refused in the envelope', async (t) => {
  const app = await openApp(t)

  const response = await app.inject('/%zz')

  assert.equal(response.statusCode, 400)
  assert.deepEqual(await documentErrors('ErrorResponse', response.json()), [])
  assert.equal(response.json().errors[0].code, 'REQUEST_INVALID')
})

test('a very long path is not sent back whole', async (t) => {
  const app = await openApp(t)

  const response = await app.inject(`/${'x'.repeat(10_000)}`)

  assert.equal(response.statusCode, 404)
  assert.ok(response.body.length < 400)
})

test('/openapi.json describes the routes', async (t) => {
  const app = await openApp(t)

  const response = await app.inject('/openapi.json')

  assert.equal(response.statusCode, 200)
  assert.equal(response.json().openapi, '3.1.0')
  assert.deepEqual(response.json(), load(await openapiDocument()))
  assert.deepEqual(Object.keys(response.json().paths), [
    '/resolve',
    '/images',
    '/pulls',
    '/images/{image}',
    '/images/pull',
    '/registries',
    '/registries/{name}/images',
    '/registries/{name}/tags',
    '/version',
    '/config',
    '/stats',
    '/stats/history',
    '/cache',
    '/metrics',
    '/check',
    '/livez',
    '/readyz',
    '/openapi.json',
    '/events/registry',
    '/admission/pin',
  ])
})

test('every method that a path answers is in Allow, whichever route has it', async (t) => {
  const app = await openApp(t)

  const resolve = await app.inject({ method: 'PUT', url: '/resolve' })
  const image = await app.inject({ method: 'PATCH', url: '/images/docker.io/library/nginx' })

  assert.equal(resolve.headers['allow'], 'GET, HEAD, POST')
  assert.equal(image.headers['allow'], 'DELETE, GET, HEAD')
})

test('routes of a mirror and of a page have parsers and handlers of their own', async (t) => {
  const app = await openApp(t, {
    mirror: (scope) => {
      scope.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, body, done) =>
        done(null, body),
      )
      scope.post('/v2/echo', async ({ body }) => body)
    },
    page: (scope) => {
      scope.get('/', { config: { access: 'open' } }, async () => 'a page')
    },
  })
  const plain = { 'content-type': 'text/plain' }

  const page = await app.inject('/')
  const mirror = await app.inject({
    method: 'POST',
    url: '/v2/echo?ns=a',
    headers: plain,
    body: 'x',
  })
  const api = await app.inject({ method: 'POST', url: '/resolve', headers: plain, body: 'x' })

  assert.deepEqual([page.body, mirror.body], ['a page', 'x'])
  assert.equal(api.statusCode, 415)
})

test('nobody of another origin is let in by CORS', async (t) => {
  const app = await openApp(t)
  const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }

  const preflight = await app.inject({ method: 'OPTIONS', url: '/resolve', headers })
  const read = await app.inject({ url: '/registries', headers })

  assert.equal(preflight.statusCode, 405)
  for (const { headers: given } of [preflight, read]) {
    assert.equal(given['access-control-allow-origin'], undefined)
  }
})
