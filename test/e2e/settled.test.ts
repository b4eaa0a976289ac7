import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startContainerd } from '../support/containerd.ts'
import { criClient, type TestCriClient, type TestImageStatus } from '../support/cri-client.ts'
import { startDaemon } from '../support/daemon.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { createRuntimeGate } from '../support/runtime-gate.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const NAMES = '/containerd.services.images.v1.Images'

for (const [what, method] of [
  ['before the image has its names', `${NAMES}/Create`],
  ["before the mirror's name is taken away", `${NAMES}/Delete`],
] as const) {
  test(`a containerd killed after a pull, ${what}: its first list shows the right names`, async (t) => {
    if (!requireStack(t, RUNTIME_PROGRAMS)) return
    const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
    const gate = createRuntimeGate(t, containerd.socketPath)
    const { reached } = await gate.open(method)
    const daemon = await startDaemon(t, { cri: gate.path, config: { address: registry.url } })
    const kubelet = criClient(t, daemon.socketPath)
    const direct = criClient(t, containerd.socketPath)
    const image = buildImage()
    await pushImage(registry.url, 'library/nginx', 'latest', image)
    const mirrorName = `${registry.host}/library/nginx@${image.digest}`

    const pull = kubelet.pullImage('nginx').catch(() => {})
    await reached
    await containerd.kill()
    await gate.close()
    await pull
    await containerd.start()
    const between = await direct.imageStatus(mirrorName)
    await gate.open()
    const [only, ...more] = await firstList(kubelet)

    assert.ok(between?.repoDigests.includes(mirrorName))
    assert.deepEqual(more, [])
    assert.deepEqual(only?.repoTags, ['docker.io/library/nginx:latest'])
    assert.deepEqual(only?.repoDigests, [`docker.io/library/nginx@${image.digest}`])
  })
}

/** The runtime may not be reached yet; what it says first counts. */
async function firstList(kubelet: TestCriClient): Promise<readonly TestImageStatus[]> {
  for (const end = performance.now() + 60_000; ; ) {
    try {
      return await kubelet.listImages()
    } catch (error) {
      if (performance.now() > end) throw error
      await sleep(20)
    }
  }
}
