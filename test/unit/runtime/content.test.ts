import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContentStore } from '../../../src/runtime/content.ts'
import { imageBlobs, isComplete } from '../../../src/runtime/content.ts'
import {
  buildImage,
  buildIndex,
  content,
  descriptor,
  type TestImage,
} from '../../support/images.ts'

const ARM64 = { os: 'linux', architecture: 'arm64' }
const SNAPSHOT = 'containerd.io/gc.ref.snapshot.overlayfs'

/** A content store that has all of an image, until the test takes something away. */
function storeOf(image: TestImage, configLabels: Readonly<Record<string, string>> = {}) {
  const blobs = new Map(
    [image, ...image.children, ...image.blobs].map(({ digest, bytes }) => [digest, bytes]),
  )
  const snapshots = new Set<string>()
  const store: ContentStore = {
    info: async (digest) => {
      const bytes = blobs.get(digest)
      const labels = digest === image.imageId ? configLabels : {}
      return bytes && { size: bytes.length, labels }
    },
    read: async (digest) => blobs.get(digest),
    ingests: async () => [],
    hasSnapshot: async (snapshotter, key) => snapshots.has(`${snapshotter} ${key}`),
    discard: async () => true,
  }
  return { store, blobs, snapshots }
}

test('an image is complete with its manifest, its config and its layers', async () => {
  const image = buildImage()

  for (const missing of [undefined, image.digest, ...image.blobs.map(({ digest }) => digest)]) {
    const { store, blobs } = storeOf(image)
    blobs.delete(missing ?? '')

    const complete = await isComplete(store, image.digest, image.imageId)

    assert.equal(complete, missing === undefined, missing)
  }
})

test('layers that were discarded after unpacking are not missed', async () => {
  const image = buildImage()
  const { store, blobs, snapshots } = storeOf(image, { [SNAPSHOT]: 'sha256:top' })
  const [, layer] = image.blobs
  blobs.delete(layer?.digest ?? '')

  const before = await isComplete(store, image.digest, image.imageId)
  snapshots.add('overlayfs sha256:top')
  const after = await isComplete(store, image.digest, image.imageId)

  assert.deepEqual([before, after], [false, true])
})

test("of an index that platform counts whose config is the image's ID", async () => {
  const [own, other] = [buildImage(), buildImage({ platform: ARM64, seed: 'arm' })]
  const index = buildIndex([other, own])
  const { store, blobs } = storeOf(index)
  for (const { digest } of [other, ...other.blobs]) blobs.delete(digest)

  assert.equal(await isComplete(store, index.digest, own.imageId), true)
  assert.equal(await isComplete(store, index.digest, other.imageId), false)
})

test('what is no manifest has no blobs', async () => {
  for (const value of ['text', [], {}, { manifests: ['x', { digest: 7 }] }, { config: 'x' }]) {
    const top = content('application/json', Buffer.from(JSON.stringify(value)))
    const { store, blobs } = storeOf(buildImage())
    blobs.set(top.digest, top.bytes)

    assert.equal(await imageBlobs(store, top.digest, 'sha256:x'), undefined)
  }
})

test('the layers come with their sizes', async () => {
  const image = buildImage()
  const [config, layer] = image.blobs
  assert.ok(config && layer)

  const found = await imageBlobs(storeOf(image).store, image.digest, image.imageId)

  const { digest, size } = descriptor(layer)
  assert.deepEqual(found, {
    manifest: image.digest,
    config: config.digest,
    layers: [{ digest, size }],
  })
})
