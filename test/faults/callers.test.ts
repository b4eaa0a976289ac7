import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/load.ts'
import { parseReference } from '../../src/reference/reference.ts'
import { createCore } from '../../src/service/core.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { FakeRegistry, serve } from '../support/fake-registry.ts'
import { buildImage, buildIndex } from '../support/images.ts'
import { temporaryFolder } from '../support/stack.ts'

const CALLERS = 1_000
const PLATFORM = { os: 'linux', architecture: 'amd64' }

test('a thousand callers of one tag cost one walk, and one of them who leaves takes it from nobody', async (t) => {
  const image = buildIndex([buildImage()])
  const [broken, registry] = [await FakeRegistry.start(t), await FakeRegistry.start(t)]
  registry.put('library/app', '1', image)
  broken.behaviour = ({ response }) => void response.writeHead(503).end()
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const asked = new Promise<void>((resolve) => {
    registry.behaviour = async (exchange) => {
      resolve()
      await gate
      serve(exchange)
    }
  })
  const registries = [broken, registry].map(({ url }, index) => ({
    address: url,
    priority: 900 - index,
  }))
  const text = JSON.stringify({ image: temporaryFolder(t), mirrorsOnly: ['docker.io'], registries })
  const { config } = parseConfig(text, { file: undefined, socketExists: () => false, env: {} })
  const core = createCore(config, silentLogger(), () => undefined)
  t.after(() => core.close())
  const leaving = new AbortController()

  const calls = Array.from({ length: CALLERS }, (_, index) =>
    core.resolver.resolve(parseReference('app:1'), {
      platform: PLATFORM,
      ...(index === 0 && { signal: leaving.signal }),
    }),
  )
  const settled = Promise.allSettled(calls)
  await asked
  leaving.abort()
  await assert.rejects(calls[0] ?? Promise.resolve(), { code: 'CANCELED' })
  open()
  const [first, ...others] = await settled

  assert.equal(first?.status, 'rejected')
  assert.equal(others.length, CALLERS - 1)
  for (const other of others) {
    assert.equal(other.status === 'fulfilled' && other.value.imageId, image.imageId)
  }
  assert.deepEqual(broken.log(), ['GET /v2/library/app/manifests/1'])
  assert.deepEqual(registry.log(), [
    'GET /v2/library/app/manifests/1',
    `GET /v2/library/app/manifests/${image.children[0]?.digest}`,
  ])
  assert.equal(core.cache.counts().coalesced, CALLERS - 1)
})
