import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { MAIN, startDaemon } from '../support/daemon.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { withoutWaiting } from '../support/examples.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { runProgram } from '../support/program.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

test('adopt names what another shim has left, in containerd, with the registry down', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  const daemon = await startDaemon(t, {
    cri: containerd.socketPath,
    config: { address: registry.url },
  })
  const direct = criClient(t, containerd.socketPath)
  const [nginx, pause] = [buildImage({ seed: 'nginx' }), buildImage({ seed: 'pause' })]
  await pushImage(registry.url, 'library/nginx', '1', nginx)
  await pushImage(registry.url, 'pause', '3', pause)
  const left = [`${registry.host}/library/nginx:1`, `${registry.host}/pause:3`]
  for (const name of left) await direct.pullImage(name)
  await registry.stop()
  await daemon.stop()
  const adopt = async (...more: readonly string[]) =>
    withoutWaiting(
      await runProgram(process.execPath, [
        ...MAIN,
        'adopt',
        '--config',
        daemon.configFile,
        ...more,
      ]),
    )

  const dryRun = await adopt('--dry-run', '--domain', 'docker.io')
  const afterDryRun = await direct.imageStatus('nginx:1')
  const output = await adopt('--domain', 'docker.io')
  const again = await adopt('--domain', 'docker.io')

  assert.match(dryRun, /2 would be added, 2 unknown\n$/)
  assert.equal(afterDryRun, undefined)
  assert.match(output, /nginx:1 -> docker\.io\/library\/nginx:1: added\n/)
  assert.match(output, /pause:3: left as it is: no image of docker\.io/)
  assert.match(again, /^.*: there\n.*: there\n.*\n.*\n2 there, 2 unknown\n$/)
  const found = await direct.imageStatus('nginx:1')
  assert.equal(found?.id, nginx.imageId)
  assert.deepEqual(found?.repoTags.toSorted(), [left[0], 'docker.io/library/nginx:1'].toSorted())
  assert.ok(found?.repoDigests.includes(`docker.io/library/nginx@${nginx.digest}`))
})
