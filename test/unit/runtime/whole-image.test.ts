import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContentStore } from '../../../src/runtime/content.ts'
import { createWholeImages } from '../../../src/runtime/whole-image.ts'
import { buildImage, buildIndex } from '../../support/images.ts'

const NAME = 'docker.io/library/x:1'
const BY_DIGEST = 'docker.io/library/x@sha256:d'
const TOP = 'sha256:top'
const FOLDER = '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs'
const IMAGE = buildIndex([buildImage()])
const [MANIFEST = IMAGE] = IMAGE.children

/** containerd with one image, until a test takes something away. */
function nodeWith(folders: readonly string[] = [FOLDER]) {
  const read: string[] = []
  let lost = () => {}
  const node = {
    labels: new Map([
      [IMAGE.digest, { 'containerd.io/gc.ref.content.m.0': MANIFEST.digest }],
      [MANIFEST.digest, { 'containerd.io/gc.ref.content.config': IMAGE.imageId }],
      [IMAGE.imageId, { 'containerd.io/gc.ref.snapshot.overlayfs': TOP }],
    ] as [string, Record<string, string>][]),
    snapshots: new Set([`overlayfs ${TOP}`]),
    names: new Map([[NAME, IMAGE.digest]]),
    folders,
    lacksPin: false,
    read,
    lose: () => lost(),
    whole: () => whole(NAME),
  }
  const bytes = new Map([IMAGE, MANIFEST].map((each) => [each.digest, each.bytes]))
  const content: Pick<ContentStore, 'info' | 'read' | 'hasSnapshot'> = {
    info: async (digest) => {
      const labels = node.labels.get(digest)
      return labels && { size: 1, labels }
    },
    read: async (digest) => {
      read.push(digest)
      return bytes.get(digest)
    },
    hasSnapshot: async (snapshotter, key) => node.snapshots.has(`${snapshotter} ${key}`),
  }
  const whole = createWholeImages({
    content,
    table: {
      lacksPin: async () => node.lacksPin,
      get: async (name) => {
        const digest = node.names.get(name)
        const target = { mediaType: '', size: '1', annotations: {} }
        return digest === undefined
          ? undefined
          : { name, labels: {}, target: { ...target, digest } }
      },
    },
    imageStatus: async (name) =>
      name === NAME
        ? { id: IMAGE.imageId, repoTags: [NAME], repoDigests: [BY_DIGEST], size: 1n, pinned: false }
        : undefined,
    imageFolders: async () => node.folders,
    onLost: (listener) => {
      lost = listener
    },
  })
  return node
}

test('an image of which nothing is missing is whole, and what it consists of is read once', async () => {
  const node = nodeWith()

  const [first, again] = [await node.whole(), await node.whole()]

  const expected = { id: IMAGE.imageId, names: [NAME, BY_DIGEST], target: IMAGE.digest }
  assert.deepEqual([first, again], [expected, expected])
  assert.deepEqual(node.read, [IMAGE.digest, MANIFEST.digest])
})

for (const isKnown of [false, true]) {
  const when = isKnown ? 'that was whole before' : 'that is seen for the first time'
  for (const digest of [IMAGE.digest, MANIFEST.digest, IMAGE.imageId]) {
    test(`an image ${when} is not whole without ${digest.slice(7, 12)} or its label`, async () => {
      const node = nodeWith()
      if (isKnown) await node.whole()

      node.labels.set(digest, {})
      const withoutLabel = await node.whole()
      node.labels.delete(digest)

      assert.deepEqual([withoutLabel, await node.whole()], [undefined, undefined])
    })
  }

  test(`an image ${when} is not whole without its snapshot, its name or its pin`, async () => {
    const nodes = [nodeWith(), nodeWith(), nodeWith()] as const
    if (isKnown) await Promise.all(nodes.map((node) => node.whole()))
    const [first, second, third] = nodes

    first.snapshots.clear()
    second.names.clear()
    third.lacksPin = true

    const whole = await Promise.all(nodes.map((node) => node.whole()))
    assert.deepEqual(whole, [undefined, undefined, undefined])
  })
}

test('what a name stood for when it was whole counts for nothing once it stands for another image', async () => {
  const node = nodeWith()
  await node.whole()
  const other = `sha256:${'0'.repeat(64)}`

  node.names.set(NAME, other)
  const moved = await node.whole()
  node.names.set(NAME, IMAGE.digest)
  const back = await node.whole()

  assert.deepEqual([moved, back?.target], [undefined, IMAGE.digest])
})

test('nothing is whole where it cannot be told how images are unpacked', async () => {
  for (const folders of [[], ['/elsewhere'], [FOLDER, FOLDER.replace('overlayfs', 'native')]]) {
    assert.equal(await nodeWith(folders).whole(), undefined)
  }
})

test('how images are unpacked is found out anew when the connection was lost', async () => {
  const node = nodeWith()
  await node.whole()

  node.folders = [FOLDER.replace('overlayfs', 'native')]
  const before = await node.whole()
  node.lose()

  assert.deepEqual([before?.id, await node.whole()], [IMAGE.imageId, undefined])
})
