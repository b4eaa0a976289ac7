import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Behaviour, FakeRegistry, serve } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { place, startMirror } from '../../support/mirror.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import type { Cleanup } from '../../support/stack.ts'

const IMAGE = buildImage({ seed: 'heads' })
const USER = { kind: 'basic', username: 'user', password: 'pass' } as const
const HOUR_MS = 3_600_000

function refusingHeads(status: number): Behaviour {
  return (exchange) => {
    if (exchange.request.method === 'HEAD') exchange.response.writeHead(status).end()
    else serve(exchange)
  }
}

async function start(t: Cleanup, behaviour: Behaviour) {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  registry.behaviour = behaviour
  const clock = { ms: Date.now() }
  const images = startImages(t, { now: () => clock.ms })
  return { registry, clock, images, request: ask(registry, 'library/app', '1') }
}

function methods(registry: { readonly requests: readonly { readonly method: string }[] }): string {
  return registry.requests.map(({ method }) => method).join(' ')
}

for (const status of [400, 401, 403, 404, 405, 406, 500, 501]) {
  test(`a HEAD that is answered ${status} counts for nothing where a GET works`, async (t) => {
    const { registry, images, request } = await start(t, refusingHeads(status))

    const first = await images.digest(request)
    const second = await images.digest(request)

    assert.deepEqual([first.digest, second.digest], [IMAGE.digest, IMAGE.digest])
    assert.equal(methods(registry), 'HEAD GET GET')
  })
}

test('that a registry refuses HEAD is kept for an hour', async (t) => {
  const { registry, clock, images, request } = await start(t, refusingHeads(404))

  await images.digest(request)
  registry.behaviour = serve
  clock.ms += HOUR_MS - 1
  await images.digest(request)
  clock.ms += 1
  await images.digest(request)
  await images.digest(request)

  assert.equal(methods(registry), 'HEAD GET GET HEAD HEAD')
})

test('that a registry refuses HEAD is no longer kept when the clock is set back', async (t) => {
  const { registry, clock, images, request } = await start(t, refusingHeads(404))

  await images.digest(request)
  clock.ms -= 24 * HOUR_MS
  await images.digest(request)

  assert.equal(methods(registry), 'HEAD GET HEAD GET')
})

test('one registry that refuses HEAD says nothing of another', async (t) => {
  const { images, request } = await start(t, refusingHeads(403))
  const other = await FakeRegistry.start(t)
  other.put('library/app', '1', IMAGE)

  await images.digest(request)
  await images.digest(ask(other, 'library/app', '1'))

  assert.equal(methods(other), 'HEAD')
})

test('an image that appears is found, however often it was absent before', async (t) => {
  const { registry, images, request } = await start(t, (exchange) => {
    const isHead = exchange.request.method === 'HEAD'
    // As a proxy does that has not fetched the image yet.
    if (isHead) exchange.response.writeHead(404).end()
    else serve(exchange)
  })

  for (let at = 0; at < 10; at += 1) {
    const absent = { ...request, reference: `absent-${at}` }
    await assert.rejects(images.digest(absent), { code: 'MANIFEST_UNKNOWN', status: 404 })
  }
  registry.put('library/app', 'absent-9', IMAGE)

  const { digest } = await images.digest({ ...request, reference: 'absent-9' })
  assert.equal(digest, IMAGE.digest)
})

test('an absent image costs one GET, and a registry with it is asked by HEAD all the same', async (t) => {
  const { registry, images, request } = await start(t, serve)

  await assert.rejects(images.digest({ ...request, reference: 'absent' }), {
    code: 'MANIFEST_UNKNOWN',
    status: 404,
    message: /manifest unknown/,
  })
  await images.digest(request)

  assert.equal(methods(registry), 'HEAD GET HEAD')
})

test('credentials that begin to work are believed at once', async (t) => {
  const { registry, images, request } = await start(t, ({ response }) =>
    response.writeHead(403).end(),
  )
  await assert.rejects(images.digest(request), { code: 'DENIED' })

  registry.behaviour = refusingHeads(403)

  assert.equal((await images.digest(request)).digest, IMAGE.digest)
})

test('a repository that was refused with one status may be there for another question', async (t) => {
  const registry = await FakeRegistry.start(t, { auth: USER })
  registry.put('library/app', '1', IMAGE)
  registry.behaviour = refusingHeads(401)
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')

  await assert.rejects(images.digest(request), { code: 'UNAUTHORIZED' })
  const { digest } = await images.digest({ ...request, credentials: USER })

  assert.equal(digest, IMAGE.digest)
})

test('a refusal says what the answer to the GET said', async (t) => {
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'the firewall says no' }] })
  const registry = await startScriptedRegistry(t, [
    { on: { method: 'HEAD' }, status: 403 },
    { on: { method: 'GET' }, status: 403, body },
  ])

  await assert.rejects(startImages(t).digest(ask(registry, 'library/app', '1')), {
    code: 'DENIED',
    status: 403,
    message: /the firewall says no/,
  })
})

for (const status of [429, 502, 503, 504]) {
  test(`a HEAD that is answered ${status} counts at once`, async (t) => {
    const { registry, images, request } = await start(t, refusingHeads(status))

    await assert.rejects(images.digest(request), { status })
    assert.equal(methods(registry), 'HEAD')
  })
}

for (const status of [429, 503]) {
  test(`a GET that is answered ${status} says nothing of the image`, async (t) => {
    const { registry, images, request } = await start(t, ({ request: { method }, response }) => {
      response.writeHead(method === 'HEAD' ? 404 : status).end()
    })

    await assert.rejects(images.digest(request), { status })
    registry.behaviour = refusingHeads(404)

    assert.equal((await images.digest(request)).digest, IMAGE.digest)
  })
}

test('bytes that a GET gives in the place of a HEAD have to have the digest that was asked for', async (t) => {
  const { registry, images, request } = await start(t, refusingHeads(404))
  const other = buildImage({ seed: 'other' })
  registry.putManifest('library/app', IMAGE.digest, { ...other, digest: IMAGE.digest })

  await assert.rejects(images.digest({ ...request, reference: IMAGE.digest }), {
    code: 'DIGEST_INVALID',
  })
})

test('our own /v2 answers HEAD for what a registry gives by GET alone', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  registry.behaviour = refusingHeads(404)
  const mirror = await startMirror(t, [place(registry)])
  const path = `/v2/library/app/manifests/${IMAGE.digest}`

  const first = await mirror.ask('HEAD', path)
  const second = await mirror.ask('HEAD', path)
  const tag = await mirror.ask('HEAD', '/v2/library/app/manifests/1')

  for (const head of [first, second, tag]) {
    assert.deepEqual([head.status, head.body.length], [200, 0])
    assert.equal(head.headers['content-length'], String(IMAGE.bytes.length))
    assert.equal(head.headers['docker-content-digest'], IMAGE.digest)
  }
  assert.equal(methods(registry), 'HEAD GET GET GET')
})

test('the platform of an image is found where HEAD is refused', async (t) => {
  const { images, request } = await start(t, refusingHeads(403))

  await images.digest(request)

  assert.equal((await images.image(request, AMD64)).imageId, IMAGE.imageId)
})
