import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createCertificate } from '../../support/certificate.ts'
import { type DockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts'
import { buildImage, buildIndex, pushImage, type TestImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { signedToken } from '../../support/signed-token.ts'
import { requireStack, temporaryFolder } from '../../support/stack.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE: TestImage = buildImage()
const INDEX = buildIndex([IMAGE, buildImage({ platform: { os: 'linux', architecture: 'arm64' } })])
const USER = { kind: 'basic', username: 'puller', password: 'not:a:secret' } as const
const SERVICE = 'registry.test'

async function startFilled(t: TestContext): Promise<DockerRegistry | undefined> {
  if (!requireStack(t, ['docker-registry'])) return undefined
  const registry = await startDockerRegistry(t)
  await pushImage(registry.url, 'library/app', '1', INDEX)
  return registry
}

test('docker-registry with htpasswd gives an image with the right password only', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startDockerRegistry(t, { auth: true })
  await pushImage(registry.url, 'library/app', '1', INDEX, registry.headers)
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')

  const { imageId } = await images.image({ ...request, credentials: USER }, AMD64)

  assert.equal(imageId, IMAGE.imageId)
  const wrong = { ...USER, password: 'wrong' }
  await assert.rejects(images.image(request, AMD64), { code: 'UNAUTHORIZED' })
  await assert.rejects(images.image({ ...request, credentials: wrong }, AMD64), {
    code: 'UNAUTHORIZED',
  })
})

test('docker-registry behind a token service gives an image for a token of it', async (t) => {
  const registry = await startFilled(t)
  if (registry === undefined) return
  const signer = createCertificate()
  const tokens = await startTokenServer(t, {
    answer: ({ params, authorization }) => {
      if (authorization === undefined) return { status: 401 }
      const token = signedToken(signer, SERVICE, params['scope'] ?? '')
      return { status: 200, body: JSON.stringify({ token, expires_in: 300 }) }
    },
  })
  await registry.stop()
  const token = { realm: `${tokens.url}/token`, service: SERVICE, cert: signer.cert }
  await registry.start({ token })
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1', { credentials: USER })

  const { imageId } = await images.image(request, AMD64)
  const { digest } = await images.digest(request)
  const { names } = await images.tags(request)

  assert.deepEqual([imageId, digest, names], [IMAGE.imageId, INDEX.digest, ['1']])
  assert.deepEqual(
    tokens.questions.map(({ params }) => params['scope']),
    ['repository:library/app:pull'],
  )
  const { credentials: _, ...anonymous } = request
  await assert.rejects(images.image(anonymous, AMD64), { code: 'UNAUTHORIZED', step: 'token' })
})

test('docker-registry lists its repositories for a token of the catalogue, and answers a ping', async (t) => {
  const registry = await startFilled(t)
  if (registry === undefined) return
  const signer = createCertificate()
  const tokens = await startTokenServer(t, {
    answer: ({ params }) => {
      const token = signedToken(signer, SERVICE, params['scope'] ?? '')
      return { status: 200, body: JSON.stringify({ token }) }
    },
  })
  await registry.stop()
  await registry.start({
    token: { realm: `${tokens.url}/token`, service: SERVICE, cert: signer.cert },
  })
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')

  const pinged = await images.ping(request)
  const listed = await images.repositories(request)
  const known = await images.ping({ ...request, credentials: USER })

  assert.deepEqual(listed, { names: ['library/app'] })
  assert.deepEqual([pinged.status, known.status], [401, 200])
  assert.deepEqual(
    tokens.questions.map(({ params }) => params['scope']),
    ['registry:catalog:*', undefined],
  )
})

test('docker-registry that wants a client certificate gives an image with it', async (t) => {
  const registry = await startFilled(t)
  if (registry === undefined) return
  const [server, client] = [createCertificate(), createCertificate()]
  await registry.stop()
  await registry.start({ tls: { ...server, clientCert: client.cert } })
  const folder = temporaryFolder(t)
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const caFiles = [write('ca.pem', server.cert)]
  const [certFile, keyFile] = [write('cert.pem', client.cert), write('key.pem', client.key)]
  const images = startImages(t)
  const request = ask({ url: `https://${registry.host}` }, 'library/app', '1')
  const withTls = (tls: object) => ({ ...request, endpoint: { ...request.endpoint, tls } })

  const { imageId } = await images.image(withTls({ caFiles, certFile, keyFile }), AMD64)

  assert.equal(imageId, IMAGE.imageId)
  await assert.rejects(images.image(withTls({ caFiles }), AMD64), { code: 'UNAVAILABLE' })
})

test('docker-registry whose certificate is for another name is UNAVAILABLE, and says so', async (t) => {
  const registry = await startFilled(t)
  if (registry === undefined) return
  const server = createCertificate([192, 0, 2, 1])
  await registry.stop()
  await registry.start({ tls: server })
  const request = ask({ url: `https://${registry.host}` }, 'library/app', '1')
  const images = startImages(t, { ca: server.cert })

  await assert.rejects(images.image(request, AMD64), {
    code: 'UNAVAILABLE',
    step: 'connect',
    message: /its certificate is for another name: .*127\.0\.0\.1/,
  })

  const endpoint = { ...request.endpoint, tls: { insecureSkipVerify: true } }
  assert.equal((await images.image({ ...request, endpoint }, AMD64)).imageId, IMAGE.imageId)
})
