import assert from 'node:assert/strict'
import { Client, credentials, status } from '@grpc/grpc-js'
import { rawMethod } from '../../../src/runtime/call.ts'
import { callUnary, criClient } from '../../support/cri-client.ts'
import { respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { BOTH_ROUTES, onEach, scriptOf } from './behaviour.ts'
import { outcomeOf } from './outcome.ts'
import { message, messagesIn, NOTHING } from './wire.ts'

const LIST = '/runtime.v1.ImageService/ListImages'
const STREAM = '/runtime.v1.ImageService/StreamImages'
const MIB = 1024 * 1024
/** As the kubelet's. */
const LIMIT_BYTES = 16 * MIB
/** Field 8 of Image. */
const PINNED = Buffer.from([0x40, 0x01])
const SIZE = Buffer.from([0x20, 0xe8, 0x07])

onEach(BOTH_ROUTES, (behaviour) => {
  behaviour(
    '38',
    'a list of nearly 16 MiB passes, a longer one fails as without us',
    async (node, t) => {
      const { fake } = scriptOf(node)
      const images = imagesOf(15.9 * MIB)
      const client = new Client(`unix:${node.socketPath}`, credentials.createInsecure(), {
        'grpc.max_receive_message_length': LIMIT_BYTES,
      })
      t.after(() => client.close())
      const list = () => callUnary(client, rawMethod(LIST), NOTHING)
      let answer = Buffer.concat(images)
      fake.handle(LIST, ({ stream }) => respond(stream, [answer]))

      const { response } = await list()
      answer = Buffer.concat([...images, ...imagesOf(MIB)])
      const tooLong = await outcomeOf(list())

      assert.ok(images.length > 15_000)
      assert.ok(response.equals(Buffer.concat(images)))
      assert.equal(tooLong.code, status.RESOURCE_EXHAUSTED)
    },
  )

  behaviour('38', 'the same streamed is whole and in order, with its end', async (node, t) => {
    const images = imagesOf(17 * MIB)
    const batches = Array.from({ length: Math.ceil(images.length / 500) }, (_, index) =>
      Buffer.concat(images.slice(index * 500, index * 500 + 500)),
    )
    scriptOf(node).fake.handle(STREAM, ({ stream }) =>
      respond(stream, batches, { trailers: { 'x-end': 'of stream' } }),
    )

    const answer = await openGrpcClient(t, node.socketPath).call(STREAM, [NOTHING])

    assert.deepEqual([answer.code, answer.trailers['x-end']], [0, 'of stream'])
    assert.ok(Buffer.concat(answer.messages).equals(Buffer.concat(images)))
  })

  behaviour('22', 'an image that is pinned stays so', async (node, t) => {
    const pinned = message([1, 'b'.repeat(64)], [2, 'pause.example/pause:1'])
    const image = message([1, Buffer.concat([pinned, SIZE, PINNED])])
    scriptOf(node).fake.handle(LIST, ({ stream }) => respond(stream, [image]))

    const listed = await node.kubelet.listImages()
    const { messages } = await openGrpcClient(t, node.socketPath).call(LIST, [NOTHING])

    assert.deepEqual(
      listed.map((each) => each.pinned),
      [true],
    )
    assert.deepEqual(messages, [image])
  })
})

onEach(['containerd', 'crio-like', 'dockerd-like'], (behaviour) => {
  // Debian's containerd has both versions; the scripts, as CRI-O does, have v1 alone, and what is
  // said in v1alpha2 is put into it (docs/architecture.md), where the runtime itself would say
  // Unimplemented.
  behaviour('39', 'a client of v1alpha2 is served, in its own version', async (node, t) => {
    const old = criClient(t, node.socketPath, 'v1alpha2')
    const { full, image, name } = await node.publish()

    const { runtimeApiVersion } = await old.version()
    const ref = await old.pullImage(name)
    const found = await old.imageStatus(name)
    const containers = '/runtime.v1alpha2.RuntimeService/ListContainers'
    const { response } = await old.raw(containers, NOTHING)
    await old.removeImage(name)

    assert.equal(runtimeApiVersion, 'v1alpha2')
    assert.equal(ref, node.idOf(image))
    assert.deepEqual([found?.id, found?.repoTags], [ref, [full]])
    assert.deepEqual(messagesIn(response, 1), [])
    assert.equal(await node.kubelet.imageStatus(name), undefined)
  })

  behaviour('39', 'what only v1 has is Unimplemented in v1alpha2, never a hang', async (node) => {
    const method = '/runtime.v1alpha2.RuntimeService/NothingLikeThis'

    const { code } = await outcomeOf(node.kubelet.raw(method, NOTHING, { deadlineMs: 60_000 }))

    assert.equal(code, status.UNIMPLEMENTED)
  })
})

/** Field 1 of a list, once for each image, of so many bytes together. */
function imagesOf(bytes: number): readonly Buffer[] {
  const images: Buffer[] = []
  for (let length = 0; length < bytes; ) {
    const number = String(images.length).padStart(8, '0')
    const name = `registry.example/${'team/'.repeat(35)}${number}`
    const id = number.padStart(64, '0')
    const digests = [1, 2].map((each) => [3, `${name}@sha256:${String(each).repeat(64)}`] as const)
    const image = message([
      1,
      Buffer.concat([message([1, id], [2, `${name}:1`], ...digests), SIZE]),
    ])
    length += image.length
    if (length < bytes) images.push(image)
  }
  return images
}
