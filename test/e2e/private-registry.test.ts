import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { startDaemon } from '../support/daemon.ts'
import { REGISTRY_USER, startDockerRegistry } from '../support/docker-registry.ts'
import { checkExamples, replaceAll, yamlOf } from '../support/examples.ts'
import { buildImage, buildIndex, pushImage } from '../support/images.ts'
import { writeSkopeoSettings } from '../support/skopeo.ts'
import { RUNTIME_PROGRAMS, requireStack, temporaryFolder } from '../support/stack.ts'

const DOCUMENT = new URL('../../docs/private-registry.md', import.meta.url)

test('an image crosses the gap and is deployed by its own name, as docs/private-registry.md says', async (t) => {
  if (!requireStack(t, [...RUNTIME_PROGRAMS, 'skopeo'])) return
  const internet = await startDockerRegistry(t)
  const hub = await startDockerRegistry(t, { auth: true })
  const image = buildImage()
  const arm = buildImage({ platform: { os: 'linux', architecture: 'arm64' } })
  const index = buildIndex([image, arm])
  await pushImage(internet.url, 'library/nginx', '1.27', index)
  const home = temporaryFolder(t)
  mkdirSync(join(home, 'usb'))
  writeSkopeoSettings(home, internet.host)
  const standsFor = {
    'hub.corp:5000': hub.host,
    'admin:passw0rd': `${REGISTRY_USER.username}:${REGISTRY_USER.password}`,
    '/media/usb': join(home, 'usb'),
  }
  const containerd = await startContainerd(t)
  const written = load(replaceAll(yamlOf(DOCUMENT), standsFor)) as object
  const http = { listen: `unix://${join(home, 'http.sock')}` }
  const daemon = await startDaemon(t, {
    cri: containerd.socketPath,
    config: { ...written, http },
  })

  const count = await checkExamples(DOCUMENT, {
    configFile: daemon.configFile,
    standsFor,
    environment: { HOME: home },
  })

  assert.ok(count >= 9, `${count} examples`)
  const found = await criClient(t, containerd.socketPath).imageStatus('nginx:1.27')
  assert.equal(found?.id, image.imageId)
  assert.deepEqual(found?.repoDigests, [`docker.io/library/nginx@${index.digest}`])
  assert.deepEqual(found?.repoTags, ['docker.io/library/nginx:1.27'])
})
