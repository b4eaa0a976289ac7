import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InjectOptions } from 'fastify'
import { documentErrors, openDoor } from '../../support/http-door.ts'

test('an unknown path is a 404 that cannot be mistaken for an unknown image', async (t) => {
  const app = await openDoor(t)

  const response = await app.inject('/v2/?x=1')

  assert.equal(response.statusCode, 404)
  assert.deepEqual(await documentErrors(app, 'ErrorResponse', response.json()), [])
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
    const app = await openDoor(t)

    const response = await app.inject({ ...options, url: '/resolve?ref=nginx' })

    assert.equal(response.statusCode, 405)
    assert.equal(response.headers['allow'], 'GET, HEAD')
    assert.equal(response.headers['connection'], 'close')
    assert.deepEqual(await documentErrors(app, 'ErrorResponse', response.json()), [])
    assert.equal(response.json().errors[0].code, 'METHOD_UNSUPPORTED')
  })
}

test('a path that is no URL is refused in the envelope', async (t) => {
  const app = await openDoor(t)

  const response = await app.inject('/%zz')

  assert.equal(response.statusCode, 400)
  assert.deepEqual(await documentErrors(app, 'ErrorResponse', response.json()), [])
  assert.equal(response.json().errors[0].code, 'REQUEST_INVALID')
})

test('a very long path is not sent back whole', async (t) => {
  const app = await openDoor(t)

  const response = await app.inject(`/${'x'.repeat(10_000)}`)

  assert.equal(response.statusCode, 404)
  assert.ok(response.body.length < 400)
})

test('/openapi.json describes the routes', async (t) => {
  const app = await openDoor(t)

  const response = await app.inject('/openapi.json')

  assert.equal(response.statusCode, 200)
  assert.equal(response.json().openapi, '3.1.0')
  assert.deepEqual(Object.keys(response.json().paths), ['/resolve', '/livez', '/readyz'])
})
