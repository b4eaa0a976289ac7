import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange, ObserveExchange } from '../../../src/registry/image.ts'
import {
  FakeRegistry,
  resetMidBody,
  stallMidBody,
  withHeaders,
} from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE = buildImage()
const IDENTITY = { kind: 'identityToken', token: 'identity' } as const

/** Hears of every request, without the time that it took. */
function listener() {
  const heard: Omit<Exchange, 'ms'>[] = []
  return {
    heard,
    observe: ({ ms, ...exchange }: Exchange) => {
      assert.ok(ms >= 0)
      heard.push(exchange)
    },
  }
}

test('every exchange is reported, in order, without secrets', async (t) => {
  const tokens = await startTokenServer(t, {
    answer: ({ method }) => (method === 'POST' ? { status: 404 } : undefined),
  })
  const target = await startScriptedRegistry(t, [{ status: 200, body: IMAGE.bytes }])
  const manifest = '/v2/library/app/manifests/1'
  const signed = `${target.url.replace('//', '//user:pass@')}${manifest}?X-Amz-Signature=abc#frag`
  const registry = await startScriptedRegistry(t, [
    { status: 401, headers: { 'www-authenticate': tokens.challenge } },
    { status: 307, headers: { location: signed } },
  ])
  const { heard, observe } = listener()
  const request = ask(registry, 'library/app', '1', { credentials: IDENTITY, observe })

  await startImages(t).image(request, AMD64)

  assert.deepEqual(heard, [
    { method: 'GET', url: `${registry.url}${manifest}`, status: 401 },
    { method: 'POST', url: `${tokens.url}/token`, status: 404 },
    { method: 'GET', url: `${tokens.url}/token`, status: 200 },
    { method: 'GET', url: `${registry.url}${manifest}`, status: 307 },
    { method: 'GET', url: `${target.url}${manifest}`, status: 200 },
  ])
})

test("Docker Hub's rate limit is reported, of HEADs and refusals too", async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  registry.behaviour = withHeaders({
    'ratelimit-limit': '100;w=21600',
    'ratelimit-remaining': '98;w=21600',
  })
  const heard: unknown[] = []
  const observe: ObserveExchange = ({ method, remaining }, rateLimit) => {
    heard.push([method, remaining, rateLimit])
  }
  const images = startImages(t)

  await images.digest(ask(registry, 'library/app', '1', { observe }))

  assert.deepEqual(heard, [['HEAD', 98, { remaining: 98, limit: 100, windowSeconds: 21_600 }]])
})

test('a request without a response is reported without a status', async (t) => {
  const registry = await FakeRegistry.start(t)
  await registry.server.stop()
  const { heard, observe } = listener()
  const request = ask(registry, 'library/app', '1', { observe })

  await assert.rejects(startImages(t).image(request, AMD64), { step: 'connect' })

  assert.deepEqual(heard, [{ method: 'GET', url: `${registry.url}/v2/library/app/manifests/1` }])
})

for (const [name, behaviour] of Object.entries({ resetMidBody, stallMidBody })) {
  test(`an answer that broke off in its body is told of once: ${name}`, async (t) => {
    const registry = await FakeRegistry.start(t)
    registry.put('library/app', '1', IMAGE)
    registry.behaviour = behaviour
    const { heard, observe } = listener()
    const request = ask(registry, 'library/app', '1', { observe })

    await assert.rejects(startImages(t, { attemptTimeoutMs: 3_000 }).image(request, AMD64))

    assert.deepEqual(
      heard.map(({ status }) => status),
      [200],
    )
  })
}
