import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { FakeRegistry, serve, withHeaders } from '../../support/fake-registry.ts'
import {
  buildImage,
  buildIndex,
  content,
  descriptor,
  OCI_INDEX,
  OCI_MANIFEST,
  type TestImage,
} from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE = buildImage()

async function start(t: TestContext, image: TestImage = IMAGE) {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', image)
  return { registry, images: startImages(t), request: ask(registry, 'library/app', '1') }
}

/** The bytes of an image under the name that another algorithm gives them. */
function underSha512(image: TestImage): TestImage {
  return { ...image, digest: `sha512:${createHash('sha512').update(image.bytes).digest('hex')}` }
}

test('an attestation beside the images of an index is never taken for one', async (t) => {
  const attestation = content(OCI_MANIFEST, { schemaVersion: 2, config: descriptor(IMAGE) })
  const child = {
    ...descriptor(attestation),
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
  }
  const { registry, images, request } = await start(t, buildIndex([IMAGE], { extra: [child] }))
  registry.putManifest('library/app', attestation.digest, attestation)

  const { manifestDigest } = await images.image(request, AMD64)

  assert.equal(manifestDigest, IMAGE.digest)
  assert.equal(registry.requests.length, 2)
})

test('the only child of an index, without a platform, is assumed to be for the wanted one', async (t) => {
  const { registry, images, request } = await start(t)
  const manifests = [descriptor(IMAGE)]
  registry.putManifest('library/app', '1', content(OCI_INDEX, { schemaVersion: 2, manifests }))

  const { imageId, platform } = await images.image(request, AMD64)

  assert.deepEqual([imageId, platform], [IMAGE.imageId, { ...AMD64, assumed: true }])
})

test('an image is found by its sha512 digest, and its bytes have to have that', async (t) => {
  const named = underSha512(IMAGE)
  const other = buildImage({ seed: 'other' })
  const { registry, images, request } = await start(t)
  registry.putManifest('library/app', named.digest, named)
  const byDigest = { ...request, reference: named.digest }

  const { digest, imageId } = await images.image(byDigest, AMD64)

  assert.deepEqual([digest, imageId], [named.digest, IMAGE.imageId])
  registry.putManifest('library/app', named.digest, { ...other, digest: named.digest })
  await assert.rejects(images.image(byDigest, AMD64), { code: 'DIGEST_INVALID' })
})

test('a child that an index names by sha512 is found and verified by that', async (t) => {
  const named = underSha512(IMAGE)
  const { registry, images, request } = await start(t)
  const manifests = [{ ...descriptor(named), platform: AMD64 }]
  registry.putManifest('library/app', '1', content(OCI_INDEX, { schemaVersion: 2, manifests }))
  registry.putManifest('library/app', named.digest, named)

  assert.equal((await images.image(request, AMD64)).manifestDigest, named.digest)
})

test('a manifest that comes as a generic type is known by what it says of itself', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = withHeaders({ 'content-type': 'application/octet-stream' })

  assert.equal((await images.image(request, AMD64)).mediaType, OCI_MANIFEST)
})

test('a manifest that comes as an index is refused, and not read as either', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = withHeaders({ 'content-type': OCI_INDEX })

  await assert.rejects(images.image(request, AMD64), {
    code: 'MANIFEST_INVALID',
    message: /came as .*index.* but calls itself .*manifest/,
  })
})

test('a body of 4 MiB is read, one of a byte more is not, its length announced or not', async (t) => {
  const { registry, images, request } = await start(t)
  const padded = (bytes: number) => {
    const body = JSON.parse(IMAGE.bytes.toString()) as object
    const bare = JSON.stringify({ ...body, annotations: { x: '' } }).length
    return content(OCI_MANIFEST, { ...body, annotations: { x: 'x'.repeat(bytes - bare) } })
  }
  const most = 4 * 1024 * 1024
  registry.putManifest('library/app', 'most', padded(most))
  registry.putManifest('library/app', 'more', padded(most + 1))

  const { size } = await images.image({ ...request, reference: 'most' }, AMD64)

  assert.equal(size, most)
  for (const behaviour of [serve, withHeaders({ 'content-length': undefined })]) {
    registry.behaviour = behaviour
    await assert.rejects(images.image({ ...request, reference: 'more' }, AMD64), {
      code: 'MANIFEST_INVALID',
      message: /larger than 4 MiB/,
    })
  }
})

test('a body that comes byte by byte, never silent for long, is out of time all the same', async (t) => {
  const { registry, request } = await start(t)
  registry.behaviour = ({ response, found }) => {
    response.writeHead(200, { 'content-type': OCI_MANIFEST })
    let sent = 0
    const drip = setInterval(() => {
      response.write(found?.bytes.subarray(sent, sent + 1) ?? '')
      sent += 1
    }, 5)
    response.once('close', () => clearInterval(drip))
  }
  const images = startImages(t, { attemptTimeoutMs: 60 })

  await assert.rejects(images.image(request, AMD64), {
    code: 'DEADLINE_EXCEEDED',
    message: /no answer within 60 ms$/,
  })
})

test("a registry's warning is reported, and the image found", async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = withHeaders({ warning: '299 - "this repository moves"' })
  const warnings: (string | undefined)[] = []
  const observe = ({ warning }: { readonly warning?: string }) => void warnings.push(warning)

  const { imageId } = await images.image({ ...request, observe }, AMD64)

  assert.equal(imageId, IMAGE.imageId)
  assert.deepEqual(warnings, ['this repository moves'])
})

test('a 401 to a token that was just given means that it is not there, and ends after one try', async (t) => {
  const tokens = await startTokenServer(t)
  // Docker Hub gives everybody a token for anything, and says the same of what does not exist.
  const scope = 'repository:library/app:pull'
  const challenge = `Bearer realm="${tokens.url}/token",service="hub",scope="${scope}"`
  const refusal = (header: string) => ({ status: 401, headers: { 'www-authenticate': header } })
  const registry = await startScriptedRegistry(t, [
    refusal(challenge),
    refusal(`${challenge},error="insufficient_scope"`),
  ])

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
    code: 'UNAUTHORIZED',
    status: 401,
    step: 'manifest',
  })
  assert.equal(registry.requests.length, 2)
  assert.equal(tokens.questions.length, 1)
})
