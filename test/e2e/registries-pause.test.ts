import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startDaemon } from '../support/daemon.ts'
import { FakeRegistry, serve } from '../support/fake-registry.ts'
import { buildImage } from '../support/images.ts'
import { temporaryFolder } from '../support/stack.ts'

test('the pause image of a portoshim.yaml is resolved at the start, and known then', {
  timeout: 60_000,
}, async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('pause', '3.7', buildImage())
  const asked = new Promise<void>((resolve) => {
    registry.behaviour = (exchange) => {
      serve(exchange)
      resolve()
    }
  })
  const portoshim = join(temporaryFolder(t), 'portoshim.yaml')
  const image = `${registry.host}/pause:3.7`
  writeFileSync(
    portoshim,
    `Images:\n  PauseImage: ${image}\n  Registries:\n    - {Host: "${registry.url}", AuthToken: anything}\n`,
  )

  const daemon = await startDaemon(t, { config: { portoshim } })
  await asked
  const url = new URL(`/resolve?ref=${image}`, daemon.httpUrl())
  const response = await fetch(url)

  assert.equal(response.status, 200)
  assert.deepEqual(registry.log(), ['GET /v2/pause/manifests/3.7'])
})
