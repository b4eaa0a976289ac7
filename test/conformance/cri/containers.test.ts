import assert from 'node:assert/strict'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { ALL, onEach, scriptOf } from './behaviour.ts'
import {
  containerStatus,
  listContainers,
  podStatus,
  startContainer,
  streamContainers,
  watchEvents,
} from './pods.ts'
import { message, messagesIn, NOTHING } from './wire.ts'

const CREATE = '/runtime.v1.RuntimeService/CreateContainer'
const STREAM_IMAGES = '/runtime.v1.ImageService/StreamImages'

onEach(ALL, (behaviour, runtime) => {
  behaviour('06', 'a container runs what was pulled, by its ID', async (node, t) => {
    const { full, name } = await node.publish()
    const ref = await node.kubelet.pullImage(name)

    const container = await startContainer(t, node, ref, name)

    const { image, imageRef } = await containerStatus(node, container)
    assert.equal(image, full)
    assert.match(imageRef, /@sha256:/)
    const listed = await listContainers(node)
    assert.deepEqual(
      listed.map((each) => each.image),
      [ref],
    )
  })

  // containerd sorts names: those of the mirror, at 127.0.0.1, would come before the one and after
  // the other.
  for (const domain of ['10.0.0.5:5000', 'zz.hub']) {
    behaviour('09', `names of ${domain} are what every call shows`, async (node, t) => {
      const { full, name, image, repository } = await node.publish({ domain })
      const byDigest = `${repository}@${image.digest}`
      const ref = await node.kubelet.pullImage(name)
      const events = watchEvents(t, node)

      const container = await startContainer(t, node, ref, name)

      const found = await node.kubelet.imageStatus(name)
      const listed = (await node.kubelet.listImages()).find(({ id }) => id === ref)
      assert.deepEqual([found?.repoTags, found?.repoDigests], [[full], [byDigest]])
      assert.deepEqual(listed, found)
      const status = await containerStatus(node, container)
      assert.deepEqual([status.image, status.imageRef], [full, byDigest])
      const optional = [await podStatus(node, container), await events.first(container)]
      for (const view of optional) if (view !== undefined) assert.deepEqual(view, status)
      const [inList] = await listContainers(node)
      const streamed = await streamContainers(t, node)
      if (streamed !== undefined) assert.deepEqual(streamed, [inList])
      if (runtime === 'containerd') return
      assert.ok(streamed !== undefined && !optional.includes(undefined))
      assert.equal(inList?.imageRef, runtime === 'crio-like' ? byDigest : ref)
      const { response } = await node.kubelet.raw('/runtime.v1.ImageService/ListImages', NOTHING)
      const { messages: parts } = await openGrpcClient(t, node.socketPath).call(STREAM_IMAGES, [
        NOTHING,
      ])
      const images = (bytes: Uint8Array) => messagesIn(bytes, 1).map(String)
      assert.deepEqual(parts.flatMap(images), images(response))
    })
  }

  behaviour('15', 'a tag that moved leaves running containers as they are', async (node, t) => {
    const { image, name, path } = await node.publish()
    const before = await node.kubelet.pullImage(name)
    const container = await startContainer(t, node, before, name)
    const [running] = await listContainers(node)
    const next = node.newImage()
    node.push(path, next)

    const after = await node.kubelet.pullImage(name)

    assert.deepEqual([before, after], [node.idOf(image), node.idOf(next)])
    assert.equal((await node.kubelet.imageStatus(name))?.id, after)
    assert.ok((await node.kubelet.listImages()).some(({ id }) => id === before))
    assert.deepEqual(await listContainers(node), [running])
    const { imageId } = await containerStatus(node, container)
    const direct = await containerStatus({ kubelet: node.direct }, container)
    assert.equal(imageId, direct.imageId)
    // containerd fills it in since 2.3.
    if (runtime === 'crio-like' || imageId !== '') assert.equal(imageId, before)
    assert.equal((await node.kubelet.imageStatus(before))?.repoTags.length, 0)
  })

  behaviour('22', 'what the kubelet finds unused is unused', async (node, t) => {
    const [used, unused] = [await node.publish(), await node.publish()]
    const usedRef = await node.kubelet.pullImage(used.name)
    const unusedRef = await node.kubelet.pullImage(unused.name)
    await startContainer(t, node, usedRef, used.name)

    // Without image_id, as of containerd before 2.3, image_ref of the list is the ID.
    const inUse = (await listContainers(node)).map(({ imageId, imageRef }) => imageId || imageRef)
    const ids = (await node.kubelet.listImages()).map(({ id }) => id)
    const proposed = ids.filter((id) => !inUse.includes(id))

    assert.ok(ids.includes(usedRef) && !proposed.includes(usedRef))
    assert.ok(proposed.includes(unusedRef))
    await node.kubelet.removeImage(unusedRef)
    assert.equal(await node.kubelet.imageStatus(unused.name), undefined)
    assert.equal((await node.kubelet.imageStatus(used.name))?.id, usedRef)
  })

  // containerd refuses what it cannot run.
  if (runtime === 'containerd') return
  behaviour('06', 'every byte of what is asked to be run reaches the runtime', async (node) => {
    const { name } = await node.publish()
    const ref = await node.kubelet.pullImage(name)
    const image = message([1, ref], [18, name], [20, 'field of 1.36'], [99, 'of nobody yet'])
    const env = message([1, 'BINARY'], [2, Buffer.from([0xff, 0x00, 0xfe])])
    const mount = message([1, '/data'], [9, message([1, ref])])
    const config = message([2, image], [6, env], [7, mount], [98, Buffer.from([0xff])])
    const request = message([1, 'pod'], [2, config], [97, 'more'])

    await node.kubelet.raw(CREATE, request)

    const call = scriptOf(node)
      .fake.calls.filter(({ path }) => path === CREATE)
      .at(-1)
    assert.deepEqual(await call?.request, [request])
  })
})
