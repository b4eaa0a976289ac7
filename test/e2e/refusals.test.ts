import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, type TestImage } from '../support/images.ts'
import { startTestNode, type TestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

/** As a shim without names of its own leaves it: on the node, under the mirror's name alone. */
async function leave(node: TestNode, path: string): Promise<TestImage> {
  const image = buildImage({ seed: path })
  await node.push(path, '1', image)
  await node.direct.pullImage(`${node.first.host}/${path}:1`)
  return image
}

test("a no of one registry is not overruled by what lies on the node under a mirror's name", async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const origin = node.registry.host
  await leave(node, 'team/app')
  await node.registry.stop()

  for (const [code, challenge] of [
    [401, { 'www-authenticate': 'Basic realm="closed"' }],
    [403, {}],
    [404, {}],
  ] as const) {
    await t.test(`${code} while every other place is out of reach`, async () => {
      await node.daemon.stop()
      await node.daemon.start()
      node.first.behave({ kind: 'answer', status: code, headers: challenge })
      await node.second.refuse()

      const pull = node.kubelet.pullImage(`${origin}/team/app:1`)

      await assert.rejects(pull, ({ code: grpc }: { code: number }) => grpc !== status.OK)
      assert.equal(await node.kubelet.imageStatus(`${origin}/team/app:1`), undefined)
      const asked = await node.get(`/resolve?ref=${node.first.host}/team/app:1`)
      assert.notEqual(asked.status, 200)
    })
  }
})

test('a private origin that is not dialled from here keeps its no, with every mirror down', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const closed = await startDockerRegistry(t, { auth: true })
  await leave(node, 'team/app')
  await node.first.refuse()
  await node.second.refuse()
  const asked = `${closed.host}/team/app:1`

  for (const auth of [undefined, { username: 'stranger', password: 'wrong' }]) {
    await assert.rejects(node.kubelet.pullImage(asked, auth))
    assert.equal(await node.kubelet.imageStatus(asked), undefined)
  }
  await closed.stop()

  assert.equal(await node.kubelet.pullImage(asked), buildImage({ seed: 'team/app' }).imageId)
})

for (const [what, remove] of [
  ['its config', (node, image) => node.containerd.ctr('content', 'rm', image.imageId)],
  [
    'a layer that is not unpacked either',
    async (node, image) => {
      const { layers } = JSON.parse(image.bytes.toString()) as { layers: { digest: string }[] }
      for (const { digest } of layers) await node.containerd.ctr('content', 'rm', digest)
      const listed = await node.containerd.ctr('snapshots', 'ls')
      const keys = listed.match(/sha256:[0-9a-f]{64}(?= .*Committed)/g) ?? []
      for (const key of keys.reverse()) await node.containerd.ctr('snapshots', 'rm', key)
    },
  ],
] as readonly (readonly [string, (node: TestNode, image: TestImage) => Promise<unknown>])[]) {
  test(`an image that lacks ${what} is not adopted, also when everything is down`, async (t) => {
    if (!requireStack(t, RUNTIME_PROGRAMS)) return
    const node = await startTestNode(t)
    const origin = node.registry.host
    const image = await leave(node, 'team/app')
    await node.first.refuse()
    await node.second.refuse()
    await node.registry.stop()
    await remove(node, image)

    await assert.rejects(node.kubelet.pullImage(`${origin}/team/app:1`))

    assert.equal(await node.kubelet.imageStatus(`${origin}/team/app:1`), undefined)
  })
}
