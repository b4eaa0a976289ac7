import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { startDaemon } from '../support/daemon.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import {
  buildImage,
  type Content,
  content,
  descriptor,
  OCI_MANIFEST,
  pushImage,
} from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { createRuntimeGate } from '../support/runtime-gate.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const NAMES = '/containerd.services.images.v1.Images'
const NGINX = 'docker.io/library/nginx'

for (const [what, method] of [
  ['after the pull, before the image has a name', `${NAMES}/Create`],
  ['after naming, before the name of the mirror is taken away', `${NAMES}/Delete`],
] as const) {
  test(`a service killed ${what}: the next start ends its work`, async (t) => {
    if (!requireStack(t, RUNTIME_PROGRAMS)) return
    const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
    const gate = createRuntimeGate(t, containerd.socketPath)
    const { reached } = await gate.open(method)
    const daemon = await startDaemon(t, { cri: gate.path, config: { address: registry.url } })
    const direct = criClient(t, containerd.socketPath)
    const image = buildImage()
    await pushImage(registry.url, 'library/nginx', 'latest', image)
    const mirrorName = `${registry.host}/library/nginx@${image.digest}`

    const pull = criClient(t, daemon.socketPath).pullImage('nginx')
    const failed = assert.rejects(pull)
    await reached
    await daemon.kill()
    await failed
    const between = await direct.imageStatus(mirrorName)
    await gate.close()
    await registry.stop()
    await gate.open()
    await daemon.start()
    await daemon.program().line(/ended what an interrupted pull had left/)
    const after = await shown(() => direct.imageStatus(mirrorName))

    assert.ok(between?.repoDigests.includes(mirrorName))
    assert.equal(after, undefined)
    const [only, ...more] = await direct.listImages()
    assert.deepEqual(more, [])
    assert.equal(only?.id, image.imageId)
    assert.deepEqual(only?.repoTags, [`${NGINX}:latest`])
    assert.deepEqual(only?.repoDigests, [`${NGINX}@${image.digest}`])
  })
}

test("a mirror's name that is pulled for itself right after a pull by it outlives the service", async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const { daemon, direct, first, kubelet, push } = node
  const ended = {
    kill: async (name: string) => {
      await kubelet.pullImage(name)
      await daemon.kill()
    },
    stop: async (name: string) => {
      await daemon.stop()
      await direct.pullImage(name)
    },
  }
  for (const [how, pullAndEnd] of Object.entries(ended)) {
    const image = buildImage({ seed: how })
    await push(`library/${how}`, '1', image)
    const mirrorName = `${first.host}/library/${how}@${image.digest}`

    await kubelet.pullImage(`${how}:1`)
    await pullAndEnd(mirrorName)
    await daemon.start()
    // Pulls wait for what is repaired.
    await kubelet.pullImage(`${how}:1`)

    const there = await direct.imageStatus(mirrorName)
    assert.ok(there?.repoDigests.includes(mirrorName), how)
  }
})

test('an image has a name after its pull if that succeeded, and none if it could not be unpacked', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  const [config, layer] = image.blobs as [Content, Content]
  // containerd 1 names what has such a config before it unpacks it, which it then cannot; 2 can.
  const blob = content('application/octet-stream', config.bytes)
  const manifest = content(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor(blob),
    layers: [descriptor(layer)],
  })
  await node.push('team/odd', '1', { ...image, ...manifest, blobs: [blob, layer] })
  node.second.behave({ kind: 'answer', status: 404 })
  const asked = 'registry.invalid/team/odd:1'

  const ref = await node.kubelet.pullImage(asked).catch(() => undefined)
  const listed = await node.kubelet.listImages()

  const names = listed.flatMap(({ repoTags, repoDigests }) => [...repoTags, ...repoDigests])
  assert.deepEqual(names, ref === undefined ? [] : [asked])
  assert.equal((await node.kubelet.imageStatus(asked))?.id, ref)
})

/** containerd's view follows its names by some milliseconds. */
async function shown<T>(look: () => Promise<T | undefined>): Promise<T | undefined> {
  const end = performance.now() + 60_000
  let found = await look()
  while (found !== undefined && performance.now() < end) found = await look()
  return found
}
