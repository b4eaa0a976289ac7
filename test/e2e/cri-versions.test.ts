import assert from 'node:assert/strict'
import { test } from 'node:test'
import { servedVersions } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { buildImage } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { within } from '../support/process-state.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const LIMIT_MS = 60_000
const CALLS_WHILE_AWAY = 50
const OTHER = { v1: 'v1alpha2', v1alpha2: 'v1' } as const

// containerd 1 serves both versions, so each can be the one that is spoken to it.
for (const spoken of await servedVersions()) {
  const client = OTHER[spoken]
  test(`a client of ${client} pulls, looks and removes while ${spoken} is spoken to containerd`, async (t) => {
    if (!requireStack(t, RUNTIME_PROGRAMS)) return
    const node = await startTestNode(t, { version: spoken })
    const kubelet = criClient(t, node.daemon.socketPath, client)
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)

    const version = await kubelet.version()
    const id = await kubelet.pullImage('nginx')
    const found = await kubelet.imageStatus('nginx')
    await kubelet.removeImage('nginx')

    assert.deepEqual([version.runtimeName, version.runtimeApiVersion], ['containerd', client])
    assert.deepEqual([id, found?.id], [image.imageId, image.imageId])
    assert.deepEqual(found?.repoTags, ['docker.io/library/nginx:latest'])
    assert.deepEqual(await kubelet.listImages(), [])
  })
}

test('clients of both versions get their own from a containerd, whether it has both or one', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)

  for (const client of ['v1', 'v1alpha2'] as const) {
    const { runtimeApiVersion } = await criClient(t, node.daemon.socketPath, client).version()

    assert.equal(runtimeApiVersion, client)
  }
})

test('a containerd that was away for long is used when it is back, by pulls too', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  await node.push('library/nginx', 'latest', buildImage())
  await node.containerd.kill()
  for (let call = 0; call < CALLS_WHILE_AWAY; call += 1) {
    await assert.rejects(node.kubelet.pullImage('nginx'))
  }

  await node.containerd.start()
  assert.ok(await within(LIMIT_MS, () => works(node.kubelet.removeImage('nginx'))))
  assert.notEqual(await node.kubelet.pullImage('nginx'), '')
})

async function works(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  )
}
