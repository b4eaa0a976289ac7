import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RegistryClientOptions } from '../../../src/registry/client.ts'
import { createCertificate } from '../../support/certificate.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { startForwardProxy } from '../../support/forward-proxy.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'

const IMAGE = buildImage()
const MANIFEST = '/v2/library/app/manifests/1'
/** Nobody looks it up but the proxy, which goes to the test's own registry. */
const NAME = 'registry.invalid'
/** For a name: its certificate is for 127.0.0.1. */
const SKIP = { insecureSkipVerify: true }

async function start(t: TestContext, tls: boolean, options: RegistryClientOptions = {}) {
  const certificate = createCertificate()
  const registry = await FakeRegistry.start(t, tls ? { certificate } : {})
  registry.put('library/app', '1', IMAGE)
  const proxy = await startForwardProxy(t, registry.host)
  const images = startImages(t, { proxy: { http: proxy.url, https: proxy.url }, ...options })
  return { registry, proxy, images, certificate }
}

function askTls(url: string) {
  const request = ask({ url }, 'library/app', '1')
  return { ...request, endpoint: { ...request.endpoint, tls: SKIP } }
}

test('an https registry is asked through a tunnel of the proxy', async (t) => {
  const { proxy, images } = await start(t, true)

  const { imageId } = await images.image(askTls(`https://${NAME}`), AMD64)

  assert.equal(imageId, IMAGE.imageId)
  assert.deepEqual(proxy.log, [`CONNECT ${NAME}:443`])
})

test('an http registry is asked by handing the proxy the whole URL', async (t) => {
  const { proxy, images } = await start(t, false)

  const request = ask({ url: `http://${NAME}:5000` }, 'library/app', '1')
  const { imageId } = await images.image(request, AMD64)

  assert.equal(imageId, IMAGE.imageId)
  assert.deepEqual(proxy.log, [`GET http://${NAME}:5000${MANIFEST}`])
})

test('loopback and what NO_PROXY names are asked directly', async (t) => {
  const { registry, proxy, images } = await start(t, false, {})
  const excepting = startImages(t, { proxy: { http: proxy.url, no: `.corp,${NAME}` } })

  await images.image(ask(registry, 'library/app', '1'), AMD64)
  const unknown = excepting.image(ask({ url: `http://${NAME}` }, 'library/app', '1'), AMD64)

  await assert.rejects(unknown, {
    code: 'UNAVAILABLE',
    message: /^registry\.invalid: no such host/,
  })
  assert.deepEqual(proxy.log, [])
})

test('user and password of the proxy go to the proxy alone', async (t) => {
  const { registry, proxy } = await start(t, true)
  const images = startImages(t, { proxy: { https: proxy.url.replace('//', '//user:pass@') } })

  await images.image(askTls(`https://${NAME}`), AMD64)

  assert.deepEqual(proxy.authorizations, [`Basic ${btoa('user:pass')}`])
  assert.equal(registry.requests[0]?.headers['proxy-authorization'], undefined)
})

test('no proxy is asked for a private address that is not configured', async (t) => {
  const { proxy, images } = await start(t, false)

  for (const host of [
    '10.1.2.3',
    '169.254.169.254',
    '0x0a010203',
    '[::ffff:10.1.2.3]',
    '0.0.0.0',
  ]) {
    const request = ask({ url: `http://${host}:5000` }, 'library/app', '1', { configured: false })
    await assert.rejects(images.image(request, AMD64), { code: 'DENIED', step: 'connect' }, host)
  }
  assert.deepEqual(proxy.log, [])
})

test('loopback that is not configured is refused with a proxy too', async (t) => {
  const { registry, proxy, images } = await start(t, false)
  const port = registry.host.split(':')[1]

  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    const request = ask({ url: `http://${host}:${port}` }, 'library/app', '1', {
      configured: false,
    })
    await assert.rejects(images.image(request, AMD64), { code: 'DENIED', step: 'connect' }, host)
  }
  assert.deepEqual([proxy.log.length, registry.server.accepted()], [0, 0])
})

test('a private address that the operator configured goes through the proxy', async (t) => {
  const { proxy, images } = await start(t, false)

  await images.image(ask({ url: 'http://10.1.2.3:5000' }, 'library/app', '1'), AMD64)

  assert.deepEqual(proxy.log, [`GET http://10.1.2.3:5000${MANIFEST}`])
})

test('a proxy that is down is UNAVAILABLE, and named without its password', async (t) => {
  const { registry } = await start(t, false)
  const { host } = registry
  await registry.server.stop()
  const images = startImages(t, { proxy: { https: `http://user:secret@${host}` } })

  await assert.rejects(images.image(askTls(`https://${NAME}`), AMD64), {
    code: 'UNAVAILABLE',
    step: 'connect',
    message: `${NAME}: the proxy ${host}: connect ECONNREFUSED ${host}`,
  })
})

test('a proxy that refuses the tunnel is UNAVAILABLE, with its status', async (t) => {
  const registry = await FakeRegistry.start(t)
  const proxy = await startForwardProxy(t, registry.host, { refuseWith: 407 })
  const images = startImages(t, { proxy: { https: proxy.url } })

  await assert.rejects(images.image(askTls(`https://${NAME}`), AMD64), {
    code: 'UNAVAILABLE',
    step: 'connect',
    message: `${NAME}: the proxy ${proxy.host}: Proxy response (407)`,
  })
})

test('TLS through a proxy is with the registry: its certificate counts, and its authority', async (t) => {
  const { images, certificate, proxy } = await start(t, true)
  const trusting = startImages(t, { proxy: { https: proxy.url }, ca: certificate.cert })
  const request = ask({ url: 'https://10.1.2.3' }, 'library/app', '1')

  await assert.rejects(images.image(request, AMD64), { message: /authority is not trusted/ })
  await assert.rejects(trusting.image(request, AMD64), { message: /is for another name/ })
})
