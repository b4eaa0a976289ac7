import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { startDaemon } from '../support/daemon.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { checkExamples, replaceAll, yamlOf } from '../support/examples.ts'
import { buildImage, buildIndex, pushImage } from '../support/images.ts'
import { writeSkopeoSettings } from '../support/skopeo.ts'
import { requireStack, temporaryFolder } from '../support/stack.ts'

const DOCUMENT = new URL('../../docs/tutorial.md', import.meta.url)

test('the commands of docs/tutorial.md print what it says', async (t) => {
  if (!requireStack(t, ['docker-registry', 'skopeo'])) return
  const internet = await startDockerRegistry(t)
  const own = await startDockerRegistry(t)
  const arm = buildImage({ platform: { os: 'linux', architecture: 'arm64' } })
  await pushImage(internet.url, 'library/nginx', '1.27', buildIndex([buildImage(), arm]))
  const home = temporaryFolder(t)
  writeSkopeoSettings(home, internet.host)
  const written = load(replaceAll(yamlOf(DOCUMENT), { '127.0.0.1:5000': own.host })) as object
  const daemon = await startDaemon(t, { config: written })

  const count = await checkExamples(DOCUMENT, {
    configFile: daemon.configFile,
    standsFor: {
      '127.0.0.1:5000': own.host,
      '127.0.0.1:9430': new URL(daemon.httpUrl()).host,
      '/tmp/nginx': join(home, 'nginx'),
    },
    environment: { HOME: home },
  })

  assert.ok(count >= 6, `${count} examples`)
})
