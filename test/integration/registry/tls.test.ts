import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { EndpointTls } from '../../../src/registry/endpoint.ts'
import { createCertificate } from '../../support/certificate.ts'
import { FakeRegistry, type FakeRegistryOptions } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { temporaryFolder } from '../../support/stack.ts'

const IMAGE = buildImage()

async function start(t: TestContext, certificate: FakeRegistryOptions['certificate']) {
  const registry = await FakeRegistry.start(t, certificate === undefined ? {} : { certificate })
  registry.put('library/app', '1', IMAGE)
  const folder = temporaryFolder(t)
  const write = (name: string, text: string) => {
    // Renewed as it should be: the name never leads to half a file.
    writeFileSync(join(folder, `${name}.new`), text)
    renameSync(join(folder, `${name}.new`), join(folder, name))
    return join(folder, name)
  }
  const images = startImages(t)
  const plain = ask(registry, 'library/app', '1')
  const request = (tls: EndpointTls) => ({ ...plain, endpoint: { ...plain.endpoint, tls } })
  return { registry, folder, write, images, request }
}

test("a registry's own authority is trusted for that registry", async (t) => {
  const certificate = createCertificate()
  const { write, images, request } = await start(t, certificate)
  const caFiles = [write('other.pem', createCertificate().cert), write('ca.pem', certificate.cert)]

  const { imageId } = await images.image(request({ caFiles }), AMD64)

  assert.equal(imageId, IMAGE.imageId)
  await assert.rejects(images.image(request({}), AMD64), { message: /authority is not trusted/ })
})

test('an authority that is renewed in its file is trusted from the next question on', async (t) => {
  const certificate = createCertificate()
  const { write, images, request } = await start(t, certificate)
  const caFiles = [write('ca.pem', createCertificate().cert)]
  await assert.rejects(images.image(request({ caFiles }), AMD64), { code: 'UNAVAILABLE' })

  write('ca.pem', certificate.cert)

  assert.equal((await images.image(request({ caFiles }), AMD64)).imageId, IMAGE.imageId)
})

test('a file that is not there fails that registry alone, and is named', async (t) => {
  const { registry, folder, images, request } = await start(t, createCertificate())
  const path = join(folder, 'ca.pem')
  const other = await FakeRegistry.start(t)
  other.put('library/app', '1', IMAGE)

  await assert.rejects(images.image(request({ caFiles: [path] }), AMD64), {
    code: 'UNAVAILABLE',
    step: 'connect',
    message: new RegExp(`^${registry.host}: its TLS file ${path} cannot be used: ENOENT`),
  })
  assert.equal(registry.server.accepted(), 0)
  await images.image(ask(other, 'library/app', '1'), AMD64)
})

const BAD_FILES: readonly [name: string, text: string, problem: RegExp][] = [
  ['is empty', '', /it holds no PEM certificate/],
  ['is something else', 'hello', /it holds no PEM certificate/],
  [
    'is damaged',
    '-----BEGIN CERTIFICATE-----\naaaa\n-----END CERTIFICATE-----\n',
    /cannot be used: \S/,
  ],
]

for (const [name, text, problem] of BAD_FILES) {
  test(`a file of authorities that ${name} fails its registry, and is named`, async (t) => {
    const { write, images, request } = await start(t, createCertificate())
    const path = write('ca.pem', text)

    await assert.rejects(
      images.image(request({ caFiles: [path] }), AMD64),
      (error) =>
        error instanceof Error && error.message.includes(path) && problem.test(error.message),
    )
  })
}

test('a certificate and a key that do not belong together fail their registry, and are named', async (t) => {
  const { write, images, request } = await start(t, createCertificate())
  const certFile = write('cert.pem', createCertificate().cert)
  const keyFile = write('key.pem', createCertificate().key)

  await assert.rejects(images.image(request({ certFile, keyFile }), AMD64), {
    code: 'UNAVAILABLE',
    message: /cert\.pem with \S+key\.pem cannot be used: key values mismatch/,
  })
})

test('any certificate is believed where the operator said so, and nowhere else', async (t) => {
  const { images, request } = await start(t, createCertificate([192, 0, 2, 1]))

  const { imageId } = await images.image(request({ insecureSkipVerify: true }), AMD64)

  assert.equal(imageId, IMAGE.imageId)
  await assert.rejects(images.image(request({}), AMD64), { step: 'connect' })
})

test('the client certificate is shown to the registry, and not to where it redirects', async (t) => {
  const [server, client] = [createCertificate(), createCertificate()]
  const asking = { ...server, ca: client.cert, requestCert: true, rejectUnauthorized: false }
  const target = await FakeRegistry.start(t, { certificate: asking })
  target.put('library/app', '1', IMAGE)
  const location = `${target.url}/v2/library/app/manifests/1`
  const registry = await startScriptedRegistry(t, [{ status: 307, headers: { location } }], asking)
  const folder = temporaryFolder(t)
  const files = { ca: server.cert, cert: client.cert, key: client.key }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const tls = {
    caFiles: [join(folder, 'ca')],
    certFile: join(folder, 'cert'),
    keyFile: join(folder, 'key'),
  }
  const shown: boolean[] = []
  target.behaviour = ({ request, response, found }) => {
    shown.push('authorized' in request.socket && request.socket.authorized === true)
    response.writeHead(200, { 'content-type': found?.mediaType }).end(found?.bytes)
  }
  const request = (url: string) => {
    const plain = ask({ url }, 'library/app', '1')
    return { ...plain, endpoint: { ...plain.endpoint, tls } }
  }
  const images = startImages(t)

  await images.image(request(target.url), AMD64)
  await images.image(request(registry.url), AMD64)

  assert.deepEqual(shown, [true, false])
})

test('TLS files of a registry that speaks plain http are not looked at', async (t) => {
  const { images, request } = await start(t, undefined)

  const { imageId } = await images.image(request({ caFiles: ['/nowhere/ca.pem'] }), AMD64)

  assert.equal(imageId, IMAGE.imageId)
})

test('questions with the same TLS settings share their connections', async (t) => {
  const certificate = createCertificate()
  const { registry, write, images, request } = await start(t, certificate)
  const caFiles = [write('ca.pem', certificate.cert)]

  for (let round = 0; round < 5; round += 1) await images.image(request({ caFiles }), AMD64)

  assert.equal(registry.server.accepted(), 1)
})
