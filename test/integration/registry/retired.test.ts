import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { buildImage, content } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'

const BLOB = content('application/octet-stream', Buffer.alloc(100_000, 'layer'))
const IMAGE = { ...buildImage({ seed: 'retired' }), blobs: [BLOB] }

test('a retired client gives whole what it was giving, and is through with it then', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  let answer: ServerResponse | undefined
  registry.behaviour = ({ response }) => {
    answer = response
    response.writeHead(200, { 'content-length': BLOB.bytes.length })
    response.write(BLOB.bytes.subarray(0, 10))
  }
  const images = startImages(t)
  const request = ask(registry, 'library/app', BLOB.digest)
  const { body } = await images.open(request, { method: 'GET', kind: 'blobs' })
  let isThrough = false

  const retired = images.retire().then(() => {
    isThrough = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isThrough, false)
  answer?.end(BLOB.bytes.subarray(10))
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk as Buffer)
  await retired
  await images.retire()

  assert.ok(Buffer.concat(chunks).equals(BLOB.bytes))
})

test('a retired client without requests ends at once, and still answers its holder', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const images = startImages(t)
  await images.image(ask(registry, 'library/app', '1'), AMD64)

  await images.retire()

  const { imageId } = await images.image(ask(registry, 'library/app', '1'), AMD64)
  assert.equal(imageId, IMAGE.imageId)
})
