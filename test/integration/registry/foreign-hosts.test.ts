import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCertificate } from '../../support/certificate.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE = buildImage()
const USER = { kind: 'basic', username: 'user', password: 'pa:ss' } as const
const BASIC_CHALLENGE = { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }

function redirect(location: string, status = 307) {
  return { status, headers: { location }, body: 'moved' }
}

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirect with ${status} is followed`, async (t) => {
    const target = await FakeRegistry.start(t)
    target.put('library/app', '1', IMAGE)
    const location = `${target.url}/v2/library/app/manifests/1`
    const registry = await startScriptedRegistry(t, [redirect(location, status)])

    const { imageId } = await startImages(t).image(ask(registry, 'library/app', '1'), AMD64)

    assert.equal(imageId, IMAGE.imageId)
  })
}

test('credentials are not sent to where a registry redirects', async (t) => {
  const target = await FakeRegistry.start(t)
  target.put('library/app', '1', IMAGE)
  const location = `${target.url}/v2/library/app/manifests/1`
  const registry = await startScriptedRegistry(t, [BASIC_CHALLENGE, redirect(location)])
  const request = ask(registry, 'library/app', '1', { credentials: USER })

  await startImages(t).image(request, AMD64)

  assert.match(registry.requests[1]?.headers.authorization ?? '', /^Basic /)
  assert.equal(target.requests[0]?.headers.authorization, undefined)
})

test('a challenge of where a registry redirects is not answered', async (t) => {
  const target = await FakeRegistry.start(t, { auth: USER })
  const location = `${target.url}/v2/library/app/manifests/1`
  const registry = await startScriptedRegistry(t, [redirect(location)])
  const request = ask(registry, 'library/app', '1', { credentials: USER })

  await assert.rejects(startImages(t).image(request, AMD64), { code: 'UNAUTHORIZED' })
  assert.equal(target.requests.length, 1)
})

test('a redirect to another repository of the same registry gets a token for that one', async (t) => {
  const tokens = await startTokenServer(t)
  const auth = { kind: 'bearer' as const, ...tokens }
  const registry = await FakeRegistry.start(t, { auth })
  registry.put('proxy/library/app', '1', IMAGE)
  const { behaviour } = registry
  registry.behaviour = (exchange) => {
    if (exchange.found !== undefined) return behaviour(exchange)
    exchange.response.writeHead(301, { location: '/v2/proxy/library/app/manifests/1' }).end()
  }

  const { imageId } = await startImages(t).image(ask(registry, 'proxy/app', '1'), AMD64)

  assert.equal(imageId, IMAGE.imageId)
  assert.deepEqual(
    tokens.questions.map(({ params }) => params['scope']),
    ['repository:proxy/app:pull', 'repository:proxy/library/app:pull'],
  )
})

test('redirects in a circle end', async (t) => {
  const around = redirect('/v2/library/app/manifests/1')
  const registry = await startScriptedRegistry(t, Array(10).fill(around))

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'UNAVAILABLE',
    message: /redirects in a circle/,
  })
  assert.equal(registry.requests.length, 6)
})

test('a redirect from https to http is refused', async (t) => {
  const target = await FakeRegistry.start(t)
  const certificate = createCertificate()
  const location = `${target.url}/v2/library/app/manifests/1?secret=1`
  const registry = await startScriptedRegistry(t, [redirect(location)], certificate)
  const images = startImages(t, { ca: certificate.cert })

  await assert.rejects(
    images.image(ask(registry, 'library/app', '1'), AMD64),
    (error) => error instanceof Error && /without TLS$/.test(error.message),
  )
  assert.equal(target.requests.length, 0)
})

test('a loopback host that is not configured is not connected to', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const images = startImages(t)
  const port = registry.host.split(':')[1]

  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '0.0.0.0']) {
    const server = { url: `http://${host}:${port}` }
    const request = ask(server, 'library/app', '1', { configured: false })
    await assert.rejects(images.image(request, AMD64), {
      code: 'DENIED',
      step: 'connect',
      message: /leads to a private or local address; if that is meant, name it under/,
    })
  }
  assert.equal(registry.server.accepted(), 0)
})

for (const [name, locate] of [
  ['loopback', (port: string) => `http://127.0.0.1:${port}/v2/x`],
  ['loopback with a user', (port: string) => `http://user:pass@127.0.0.1:${port}/v2/x`],
  ['loopback by name', (port: string) => `http://localhost:${port}/v2/x`],
  ['loopback by https', (port: string) => `https://127.0.0.1:${port}/v2/x`],
  ['its own address at another port', (port: string) => `http://0.0.0.0:${port}/v2/x`],
  ['https at its own address and another port', (port: string) => `https://0.0.0.0:${port}/v2/x`],
] as const) {
  test(`a configured registry that is not on loopback cannot send us to ${name}`, async (t) => {
    const inside = await FakeRegistry.start(t)
    const port = inside.host.split(':')[1] ?? ''
    const registry = await startScriptedRegistry(t, [redirect(locate(port))])
    // 0.0.0.0 is no loopback name to us, and leads there all the same.
    const server = { url: registry.url.replace('127.0.0.1', '0.0.0.0') }
    const request = ask(server, 'library/app', '1', { credentials: USER })

    await assert.rejects(startImages(t).image(request, AMD64), { code: 'DENIED', step: 'connect' })
    assert.equal(inside.server.accepted(), 0)
  })
}

test('a configured registry cannot send us to a link-local address, by redirect', async (t) => {
  const registry = await startScriptedRegistry(t, [redirect('http://169.254.169.254/latest/')])

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'DENIED',
    step: 'connect',
    message: /^169\.254\.169\.254 leads to a local address/,
  })
})

test('a configured registry cannot send us to a link-local address, for a token', async (t) => {
  const header = 'Bearer realm="http://[::ffff:169.254.169.254]/token"'
  const challenge = { status: 401, headers: { 'www-authenticate': header } }
  const registry = await startScriptedRegistry(t, [challenge])
  const request = ask(registry, 'library/app', '1', { credentials: USER })

  await assert.rejects(startImages(t).image(request, AMD64), { code: 'DENIED', step: 'connect' })
})
