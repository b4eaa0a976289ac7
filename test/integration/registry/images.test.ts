import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ImageRequest } from '../../../src/registry/image.ts'
import { FakeRegistry, withHeaders, withoutHead, wrongBytes } from '../../support/fake-registry.ts'
import {
  buildImage,
  buildIndex,
  content,
  descriptor,
  digestOf,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
  type TestImage,
} from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'

const ARM64 = { os: 'linux', architecture: 'arm64' }
const IMAGE = buildImage()
const INDEX = buildIndex([IMAGE, buildImage({ platform: ARM64, seed: 'arm' })])
const SHA512 = `sha512:${'a'.repeat(128)}`

async function start(t: TestContext, image: TestImage = IMAGE) {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', image)
  const images = startImages(t)
  const request = (reference = '1'): ImageRequest => ask(registry, 'library/app', reference)
  return { registry, images, request }
}

test('an image of one platform is known after one GET', async (t) => {
  const { registry, images, request } = await start(t)

  const identity = await images.image(request(), ARM64)

  assert.deepEqual(identity, {
    digest: IMAGE.digest,
    mediaType: OCI_MANIFEST,
    size: IMAGE.bytes.length,
    manifestDigest: IMAGE.digest,
    imageId: IMAGE.imageId,
    platform: { ...ARM64, assumed: true },
  })
  assert.deepEqual(registry.log(), ['GET /v2/library/app/manifests/1'])
})

test('the platform of an image that was asked for it is what its config says, read once', async (t) => {
  const { registry, images, request } = await start(t)

  const own = await images.image(request(), AMD64, true)
  await assert.rejects(images.image(request(), ARM64, true), {
    code: 'PLATFORM_UNKNOWN',
    step: 'platform',
    message: /nothing for linux\/arm64; there is "linux\/amd64"/,
  })
  const lower = await images.image(request(), { ...AMD64, variant: 'v3' }, true)

  assert.deepEqual(own.platform, AMD64)
  assert.deepEqual(lower.platform, AMD64)
  const manifest = 'GET /v2/library/app/manifests/1'
  assert.deepEqual(registry.log(), [
    manifest,
    `GET /v2/library/app/blobs/${IMAGE.imageId}`,
    manifest,
    manifest,
  ])
})

/** Children of an index that names the platform of none. */
function nameless(...children: readonly TestImage[]) {
  const manifests = children.map((child) => descriptor(child))
  return content(OCI_INDEX, { schemaVersion: 2, manifests })
}

test('of an index that names no platforms the child is chosen whose config has the wanted one', async (t) => {
  const arm = buildImage({ platform: ARM64, seed: 'arm' })
  const { registry, images, request } = await start(t)
  registry.put('library/app', undefined, arm)
  registry.putManifest('library/app', 'both', nameless(arm, IMAGE))
  registry.putManifest('library/app', 'one', nameless(arm))

  for (const isAsked of [false, true]) {
    const { imageId, platform } = await images.image(request('both'), AMD64, isAsked)
    assert.deepEqual([imageId, platform], [IMAGE.imageId, AMD64])
  }
  const missing = { code: 'PLATFORM_UNKNOWN', message: /there is one without a platform/ }
  const s390x = { os: 'linux', architecture: 's390x' }
  await assert.rejects(images.image(request('both'), s390x), missing)
  await assert.rejects(images.image(request('one'), AMD64, true), missing)
})

test('a config that names no platform is claimed to be for none', async (t) => {
  const { registry, images, request } = await start(t)
  const bare = (seed: string, config: string) => {
    const blob = { mediaType: OCI_CONFIG, digest: digestOf(config), bytes: Buffer.from(config) }
    const manifest = content(OCI_MANIFEST, { schemaVersion: 2, config: descriptor(blob), seed })
    registry.putManifest('library/app', blob.digest, blob)
    registry.putManifest('library/app', manifest.digest, manifest)
    return { ...IMAGE, ...manifest, imageId: blob.digest }
  }
  const strange = ['{}', 'no JSON', '{"os":"linux"}', '{"os":"unknown","architecture":"unknown"}']
  const children = strange.map((config) => bare(config, config))
  for (const child of children) registry.putManifest('library/app', child.imageId.slice(7), child)
  registry.putManifest('library/app', 'all', nameless(...children))

  for (const { imageId } of children) {
    const identity = await images.image(request(imageId.slice(7)), ARM64, true)
    assert.deepEqual([identity.imageId, identity.platform], [imageId, { ...ARM64, assumed: true }])
  }
  await assert.rejects(images.image(request('all'), ARM64), { code: 'PLATFORM_UNKNOWN' })
})

test('a config that is not there, not its own, or without an end is no answer', async (t) => {
  const { registry, images, request } = await start(t)
  const config = { mediaType: OCI_CONFIG, digest: digestOf('gone'), bytes: Buffer.from('gone') }
  const manifest = content(OCI_MANIFEST, { schemaVersion: 2, config: descriptor(config) })
  registry.putManifest('library/app', '2', manifest)
  const asked = () => images.image(request('2'), AMD64, true)

  await assert.rejects(asked(), { code: 'MANIFEST_UNKNOWN' })
  registry.putManifest('library/app', config.digest, { ...config, bytes: Buffer.from('other') })
  await assert.rejects(asked(), { code: 'DIGEST_INVALID' })
  const bytes = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')
  registry.putManifest('library/app', config.digest, { ...config, bytes })
  await assert.rejects(asked(), { code: 'MANIFEST_INVALID' })
})

test('an image of several platforms is known after two GETs, the second by digest', async (t) => {
  const { registry, images, request } = await start(t, INDEX)
  const arm = INDEX.children[1] as TestImage

  const identity = await images.image(request(), ARM64)

  assert.deepEqual(identity, {
    digest: INDEX.digest,
    mediaType: OCI_INDEX,
    size: INDEX.bytes.length,
    manifestDigest: arm.digest,
    imageId: arm.imageId,
    platform: ARM64,
  })
  assert.deepEqual(registry.log(), [
    'GET /v2/library/app/manifests/1',
    `GET /v2/library/app/manifests/${arm.digest}`,
  ])
})

test('every media type that is understood is asked for', async (t) => {
  const { registry, images, request } = await start(t)

  await images.image(request(), AMD64)

  assert.deepEqual(registry.requests[0]?.headers.accept?.split(', ').sort(), [
    'application/vnd.docker.distribution.manifest.list.v2+json',
    'application/vnd.docker.distribution.manifest.v2+json',
    OCI_INDEX,
    OCI_MANIFEST,
  ])
})

test('many questions go over few connections', async (t) => {
  const { registry, images, request } = await start(t)

  for (let question = 0; question < 10; question += 1) await images.image(request(), AMD64)
  await Promise.all(Array.from({ length: 100 }, () => images.digest(request())))

  assert.ok(registry.server.accepted() <= 32, `${registry.server.accepted()} connections`)
})

test('the prefix of an address is part of what is asked', async (t) => {
  const { registry, images } = await start(t)
  registry.put('proxy/library/app', '1', IMAGE)

  const { imageId } = await images.image(ask(registry, 'proxy/library/app', '1'), AMD64)

  assert.equal(imageId, IMAGE.imageId)
})

test('an image is found by digest', async (t) => {
  const { images, request } = await start(t, INDEX)

  const identity = await images.image(request(INDEX.digest), AMD64)

  assert.equal(identity.digest, INDEX.digest)
  assert.equal(identity.imageId, IMAGE.imageId)
})

test('other bytes than the digest names are refused', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = wrongBytes

  await assert.rejects(images.image(request(IMAGE.digest), AMD64), {
    code: 'DIGEST_INVALID',
    step: 'manifest',
    status: 200,
  })
})

test('another child than the index names is refused', async (t) => {
  const { registry, images, request } = await start(t, INDEX)
  registry.putManifest('library/app', IMAGE.digest, buildImage({ seed: 'other' }))

  await assert.rejects(images.image(request(), AMD64), { code: 'DIGEST_INVALID' })
})

test('the digest of a tag is that of its bytes, whatever the header says', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = withHeaders({ 'docker-content-digest': digestOf('other') })

  assert.equal((await images.image(request(), AMD64)).digest, IMAGE.digest)
})

test('a child that the index carries within itself is not fetched', async (t) => {
  const child = { ...descriptor(IMAGE), platform: AMD64, data: IMAGE.bytes.toString('base64') }
  const index = content(OCI_INDEX, { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] })
  const { registry, images, request } = await start(t)
  registry.putManifest('library/app', '1', index)

  assert.equal((await images.image(request(), AMD64)).imageId, IMAGE.imageId)
  assert.equal(registry.requests.length, 1)
})

test('a child within the index that is not what its digest names is fetched', async (t) => {
  const other = buildImage({ seed: 'other' }).bytes.toString('base64')
  const child = { ...descriptor(IMAGE), platform: AMD64, data: other }
  const index = content(OCI_INDEX, { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] })
  const { registry, images, request } = await start(t)
  registry.putManifest('library/app', '1', index)

  assert.equal((await images.image(request(), AMD64)).imageId, IMAGE.imageId)
  assert.equal(registry.requests.length, 2)
})

test('an index within an index is searched', async (t) => {
  const { images, request } = await start(t, buildIndex([INDEX]))

  assert.equal((await images.image(request(), AMD64)).imageId, IMAGE.imageId)
})

test('indexes are searched three levels deep, no deeper', async (t) => {
  const three = buildIndex([buildIndex([INDEX])])
  const { registry, images, request } = await start(t, three)
  registry.put('library/app', 'deep', buildIndex([three]))

  assert.equal((await images.image(request(), AMD64)).imageId, IMAGE.imageId)
  await assert.rejects(images.image(request('deep'), AMD64), { code: 'PLATFORM_UNKNOWN' })
})

test('an index of many indexes without the platform is not searched for ever', async (t) => {
  const children = Array.from({ length: 20 }, (_, seed) =>
    buildIndex([buildImage({ platform: ARM64, seed: `${seed}` })]),
  )
  const index = buildIndex(children as [TestImage, ...TestImage[]])
  const { registry, images, request } = await start(t, index)

  await assert.rejects(images.image(request(), AMD64), { code: 'PLATFORM_UNKNOWN' })
  assert.ok(registry.requests.length <= 9, `${registry.requests.length} requests`)
})

test('an absent platform is PLATFORM_UNKNOWN, with those that are there', async (t) => {
  const { images, request } = await start(t, INDEX)

  await assert.rejects(images.image(request(), { os: 'linux', architecture: 's390x' }), {
    code: 'PLATFORM_UNKNOWN',
    step: 'platform',
    message: /linux\/s390x; there is "linux\/amd64", "linux\/arm64"$/,
  })
})

test('an index of attestations alone has no image', async (t) => {
  const { registry, images, request } = await start(t)
  const manifests = [{ ...descriptor(IMAGE), platform: { os: 'unknown', architecture: 'unknown' } }]
  registry.putManifest('library/app', '1', content(OCI_INDEX, { schemaVersion: 2, manifests }))

  await assert.rejects(images.image(request(), AMD64), { message: /there is no image at all/ })
})

test('an artifact that passes for the platform’s image is passed over', async (t) => {
  const artifact = content(OCI_MANIFEST, {
    schemaVersion: 2,
    config: { ...descriptor(IMAGE), mediaType: 'application/vnd.example' },
    layers: [],
  })
  const index = buildIndex([IMAGE], { extra: [descriptor(artifact)] })
  const onlyArtifact = content(OCI_INDEX, { schemaVersion: 2, manifests: [descriptor(artifact)] })
  const { registry, images, request } = await start(t, index)
  registry.putManifest('library/app', artifact.digest, artifact)
  registry.putManifest('library/app', 'artifact', onlyArtifact)

  assert.equal((await images.image(request(), AMD64)).imageId, IMAGE.imageId)
  const { digest, bytes } = onlyArtifact
  await assert.rejects(images.image(request('artifact'), AMD64), {
    code: 'NOT_AN_IMAGE',
    found: {
      digest,
      mediaType: OCI_INDEX,
      size: bytes.length,
      artifactType: 'application/vnd.example',
    },
  })
})

test('a signed schema 1 manifest is known by the digest of what was signed', async (t) => {
  const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  const payload = '{\n   "schemaVersion": 1\n}'
  const told = { formatLength: payload.length - 2, formatTail: 'Cn0' }
  const entry = { protected: Buffer.from(JSON.stringify(told)).toString('base64url') }
  const signed = `${payload.slice(0, -2)},"signatures":[${JSON.stringify(entry)}]\n}`
  const digest = digestOf(payload)
  const manifest = { mediaType: type, digest, bytes: Buffer.from(signed) }
  const { registry, images, request } = await start(t)
  registry.putManifest('library/app', '1', manifest)
  registry.putManifest('library/app', digest, manifest)

  for (const asked of [request(), request(digest)]) {
    await assert.rejects(images.image(asked, AMD64), {
      code: 'UNSUPPORTED',
      found: { digest, mediaType: type, size: signed.length },
    })
  }
})

test('what a tag points at now is known after one HEAD', async (t) => {
  const { registry, images, request } = await start(t, INDEX)

  const found = await images.digest(request())

  assert.deepEqual(found, {
    digest: INDEX.digest,
    mediaType: OCI_INDEX,
    size: INDEX.bytes.length,
  })
  assert.deepEqual(registry.log(), ['HEAD /v2/library/app/manifests/1'])
})

const POOR_HEADS = [
  ['refuses the method', withoutHead],
  ['leaves out the digest', withHeaders({ 'docker-content-digest': undefined })],
  ['has a digest that is none', withHeaders({ 'docker-content-digest': 'sha256:12' })],
  ['leaves out the length', withHeaders({ 'content-length': undefined })],
  ['has a type that says nothing', withHeaders({ 'content-type': 'text/plain' })],
] as const

for (const [name, behaviour] of POOR_HEADS) {
  test(`a registry whose HEAD ${name} is asked with GET, and its answer hashed`, async (t) => {
    const { registry, images, request } = await start(t)
    registry.behaviour = behaviour

    const found = await images.digest(request())

    assert.deepEqual(found, {
      digest: IMAGE.digest,
      mediaType: OCI_MANIFEST,
      size: IMAGE.bytes.length,
    })
    assert.deepEqual(
      registry.requests.map(({ method }) => method),
      ['HEAD', 'GET'],
    )
  })
}

test('a HEAD by digest that answers with another digest is refused', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = withHeaders({ 'docker-content-digest': SHA512 })

  await assert.rejects(images.digest(request(IMAGE.digest)), { code: 'DIGEST_INVALID' })
})
