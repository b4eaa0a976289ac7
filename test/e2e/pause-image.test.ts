import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { buildImage } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

// containerd (pkg/cri/server/image_pull.go of 1.7) labels the name of its sandbox image as pinned when it
// pulls it, so that the kubelet never collects it. 1.6 pins nothing, 2 pins by its configuration.
test('a pause image that was there before the configuration named it is pinned by the next pull, as without the shim', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const [node, other] = await Promise.all([startTestNode(t), startContainerd(t)])
  const name = `${node.registry.host}/pause:1`
  await node.push('pause', '1', buildImage({ seed: 'pause' }))
  const direct = criClient(t, other.socketPath)
  await Promise.all([node.kubelet.pullImage(name), direct.pullImage(name)])

  await Promise.all([node.containerd.restart(name), other.restart(name)])
  await Promise.all([node.kubelet.pullImage(name), direct.pullImage(name)])

  const [throughUs, expected] = await Promise.all([
    node.kubelet.imageStatus(name),
    direct.imageStatus(name),
  ])
  assert.deepEqual(throughUs, expected)

  node.first.clear()
  await node.kubelet.pullImage(name)
  const requests = node.first.requests.map(({ method, path }) => `${method} ${path}`)
  assert.deepEqual(requests, ['HEAD /v2/pause/manifests/1'], 'nothing is left to do')
})
