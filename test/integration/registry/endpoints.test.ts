import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE = buildImage()
const OK = { status: 200, body: IMAGE.bytes }

test('a registry whose API is not at /v2 is asked where it is', async (t) => {
  const registry = await startScriptedRegistry(t, [OK, { status: 200 }])
  const request = ask(registry, 'library/app', '1')
  const endpoint = { ...request.endpoint, root: '/v2/hub/v2' }
  const images = startImages(t)

  await images.image({ ...request, endpoint }, AMD64)
  await images.ping({ ...request, endpoint })

  assert.deepEqual(
    registry.requests.map(({ path }) => path),
    ['/v2/hub/v2/library/app/manifests/1', '/v2/hub/v2/'],
  )
})

test('a mirror of several registries gets the namespace of the image', async (t) => {
  const registry = await startScriptedRegistry(t, [OK, OK])
  const request = { ...ask(registry, 'library/app', '1'), namespace: 'hub.corp:5000' }
  const images = startImages(t)

  await images.image(request, AMD64)
  const { body } = await images.open(request, { method: 'GET', kind: 'blobs' })
  await body.resume().toArray()

  assert.deepEqual(
    registry.requests.map(({ path }) => path),
    [
      '/v2/library/app/manifests/1?ns=hub.corp%3A5000',
      '/v2/library/app/blobs/1?ns=hub.corp%3A5000',
    ],
  )
})

test('the scope after a redirect is read below a root that is not /v2, too', async (t) => {
  const tokens = await startTokenServer(t)
  const registry = await startScriptedRegistry(t, [
    { status: 301, headers: { location: '/api/other/app/manifests/1' } },
    { status: 401, headers: { 'www-authenticate': tokens.challenge } },
    OK,
  ])
  const request = ask(registry, 'library/app', '1')
  const endpoint = { ...request.endpoint, root: '/api' }

  await startImages(t).image({ ...request, endpoint }, AMD64)

  assert.deepEqual(
    tokens.questions.map(({ params }) => params['scope']),
    ['repository:other/app:pull'],
  )
})

test("a registry's headers go to it, its redirects within itself included, and to no other host", async (t) => {
  const target = await FakeRegistry.start(t)
  target.put('library/app', '1', IMAGE)
  const tokens = await FakeRegistry.start(t)
  tokens.behaviour = ({ response }) => void response.end('{"token":"given"}')
  const challenge = `Bearer realm="${tokens.url}/token"`
  const registry = await startScriptedRegistry(t, [
    { status: 401, headers: { 'www-authenticate': challenge } },
    { status: 307, headers: { location: '/v2/library/app/manifests/2' } },
    { status: 307, headers: { location: `${target.url}/v2/library/app/manifests/1` } },
  ])
  const request = ask(registry, 'library/app', '1')
  const headers = { 'X-Tenant': 'secret', 'User-Agent': 'mine', Accept: 'text/plain' }
  const endpoint = { ...request.endpoint, headers }

  await startImages(t).image({ ...request, endpoint }, AMD64)

  const sent = registry.requests.map((each) => [
    each.headers['x-tenant'],
    each.headers['user-agent'],
    each.headers.accept === 'text/plain',
  ])
  assert.deepEqual(sent, Array(3).fill(['secret', 'mine', false]))
  for (const { headers: given } of [...target.requests, ...tokens.requests]) {
    assert.deepEqual([given['x-tenant'], given['user-agent']], [undefined, 'image-resolver'])
  }
  assert.deepEqual([target.requests.length, tokens.requests.length], [1, 1])
})

test('an Authorization header of the operator is sent as it is, until there is a token', async (t) => {
  const tokens = await startTokenServer(t)
  const registry = await startScriptedRegistry(t, [
    { status: 401, headers: { 'www-authenticate': tokens.challenge } },
    OK,
  ])
  const request = ask(registry, 'library/app', '1')
  const endpoint = { ...request.endpoint, headers: { Authorization: 'Custom mine' } }

  await startImages(t).image({ ...request, endpoint }, AMD64)

  assert.deepEqual(
    registry.requests.map(({ headers }) => headers.authorization),
    ['Custom mine', 'Bearer token-1'],
  )
})
