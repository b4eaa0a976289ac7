import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { hanging, respond } from '../../support/fake-runtime.ts'
import { answerOf, openGrpcClient } from '../../support/grpc-client.ts'
import { framed, unframed } from '../../support/grpc-frames.ts'
import type { RegistryProxy } from '../../support/registry-proxy.ts'
import { ALL, BOTH_ROUTES, onEach, onNewNode, scriptOf } from './behaviour.ts'
import { message, NOTHING } from './wire.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const STATUS = '/runtime.v1.RuntimeService/ContainerStatus'
const IMAGE_STATUS = '/runtime.v1.ImageService/ImageStatus'
const REMOVE = '/runtime.v1.ImageService/RemoveImage'
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents'
const AT_ONCE = 200
const BY_ID = message([1, message([1, `sha256:${'a'.repeat(64)}`])])

onEach(ALL, (behaviour) => {
  behaviour('41', 'ten pulls at once ask once, and have one answer', async (node) => {
    const { image, name, path } = await node.publish()

    const refs = await Promise.all(Array.from({ length: 10 }, () => node.kubelet.pullImage(name)))

    assert.deepEqual([...new Set(refs)], [node.idOf(image)])
    const byTag = ({ requests }: RegistryProxy) =>
      requests.filter((each) => each.path === `/v2/${path}/manifests/1`).length
    assert.deepEqual([byTag(node.m1), byTag(node.m2)], [1, 0])
  })

  behaviour('41', 'one that leaves does not end the others', async (node) => {
    const { image, name, path } = await node.publish()
    const leaving = new AbortController()
    const asked = new Promise<void>((resolve) => {
      node.m1.behave((request) => {
        if (request.path === `/v2/${path}/manifests/1`) resolve()
        return { kind: 'forward' }
      })
    })
    const pull = (signal?: AbortSignal) =>
      node.kubelet.pullImage(name, undefined, signal === undefined ? {} : { signal })
    const left = assert.rejects(pull(leaving.signal))
    const others = Promise.all([pull(), pull(), pull()])
    await asked

    leaving.abort()

    await left
    assert.deepEqual([...new Set(await others)], [node.idOf(image)])
  })

  behaviour('42', 'at no moment is an image without an ID or a size', async (node) => {
    const image = node.newImage()
    const [x, y] = [await node.publish({ image }), await node.publish({ image })]
    let isOver = false
    let seen = 0
    const look = async () => {
      while (!isOver) {
        const listed = await node.kubelet.listImages()
        const found = [
          await node.kubelet.imageStatus(x.name),
          await node.kubelet.imageStatus(y.name),
        ]
        for (const each of [...listed, ...found]) {
          if (each === undefined) continue
          seen += 1
          assert.ok(each.id !== '' && Number(each.size) > 0, JSON.stringify(each))
        }
      }
    }
    const looking = look()

    for (let round = 0; round < 3; round += 1) {
      for (const { name } of [x, y]) await node.kubelet.pullImage(name)
      await node.kubelet.removeImage(x.name)
    }
    await node.kubelet.pullImage(x.name)
    while (seen === 0) await node.kubelet.imageStatus(x.name)
    isOver = true

    await looking
  })
})

onEach(BOTH_ROUTES, (behaviour) => {
  behaviour('40', 'a long pull holds no other call up', async (node, t) => {
    const { fake } = scriptOf(node)
    const { arrived, hang } = hanging()
    fake.handle(PULL, hang)
    fake.handle(STATUS, async ({ request, stream }) => respond(stream, await request))
    const client = openGrpcClient(t, node.socketPath)

    const pulling = client.call(PULL, [BY_ID])
    const pull = await arrived
    const beside = await Promise.all(
      Array.from({ length: AT_ONCE }, () => client.call(STATUS, [message([1, 'container'])])),
    )
    // Only now may the pull end: what waits for it never comes back.
    respond(pull.stream, [message([1, 'pulled'])])

    assert.deepEqual([...new Set(beside.map(({ code }) => code))], [0])
    assert.deepEqual((await pulling).messages, [message([1, 'pulled'])])
  })
})

// Not hours: but far beyond the only limit that there is, which is for calls that are answered here.
onNewNode(BOTH_ROUTES, '40', 'events stay open beyond every limit of ours', async (start, t) => {
  const node = await start(() => ({ timeout: '100ms' }))
  const { fake } = scriptOf(node)
  const events = hanging()
  fake.handle(EVENTS, events.hang)
  fake.handle(IMAGE_STATUS, hanging().hang)
  fake.handle(REMOVE, hanging().hang)
  const client = openGrpcClient(t, node.socketPath)
  const stream = client.open(EVENTS)
  const answer = answerOf(stream)
  stream.end(framed(NOTHING))
  const call = await events.arrived

  const limited: (number | undefined)[] = []
  for (let round = 0; round < 3; round += 1) limited.push((await client.call(REMOVE, [BY_ID])).code)
  call.stream.respond({ ':status': 200 }, { waitForTrailers: true })
  call.stream.once('wantTrailers', () => call.stream.sendTrailers({ 'grpc-status': '0' }))
  const event = message([1, 'a container'])
  const received = new Promise<Buffer>((resolve) => stream.once('data', resolve))
  call.stream.write(framed(event))

  assert.deepEqual([...new Set(limited)], [status.DEADLINE_EXCEEDED])
  assert.deepEqual(unframed(await received), [event])
  call.stream.end()
  assert.equal((await answer).code, 0)
})
