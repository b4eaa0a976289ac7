import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../../src/config/load.ts'
import { createCore } from '../../../src/service/core.ts'
import { startHttp } from '../../../src/service/http-server.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'

/** A node with its mirror; `registry` is the one it has configured, itself by default. */
async function startNode(t: TestContext, registry?: string) {
  const configured = (address: string) => {
    const yaml = `{http: {listen: '127.0.0.1:0'}, mirror: {enabled: true}, mirrorsOnly: [docker.io], registries: [{address: '${address}'}]}`
    return parseConfig(yaml, { file: 'x', socketExists: () => false }).config
  }
  let config = configured(registry ?? 'http://127.0.0.1:9')
  const core = createCore(config, silentLogger(), () => undefined)
  t.after(() => core.close())
  let url = ''
  const warnings: string[] = []
  const door = await startHttp({
    config: () => config,
    core,
    readiness: { check: async () => [] },
    fd: undefined,
    logger: Object.assign(silentLogger(), {
      info: (told: { readonly address?: string }) => {
        url = told.address ?? url
      },
      warn: (_told: unknown, text: string) => warnings.push(text),
    }),
  })
  t.after(() => door.close())
  if (registry === undefined) {
    config = configured(url)
    core.reconfigure(config)
  }
  return { url, warnings }
}

const DIGEST = `sha256:${'a'.repeat(64)}`
const LOOP = 'a configured registry leads back to this service'

for (const path of ['manifests/1', `manifests/${DIGEST}`, `blobs/${DIGEST}`, 'tags/list']) {
  test(`a service that is its own registry asks itself once for ${path}, and says so`, async (t) => {
    const { url, warnings } = await startNode(t)

    const response = await fetch(`${url}/v2/library/app/${path}`)

    assert.ok(response.status >= 500, `${response.status}`)
    await response.arrayBuffer()
    assert.deepEqual(warnings, [LOOP])
  })
}

test('a node may go through the service of another one', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', buildImage())
  const other = await startNode(t, registry.url)
  const node = await startNode(t, other.url)

  const response = await fetch(`${node.url}/v2/library/app/manifests/1`)

  assert.equal(response.status, 200)
  await response.arrayBuffer()
  assert.deepEqual([...node.warnings, ...other.warnings], [])
})

test('what others have written into Via is no loop', async (t) => {
  const { url, warnings } = await startNode(t)
  const headers = { via: '1.1 image-resolver-0123456789abcdef, 1.1 proxy.corp' }

  const { status } = await fetch(`${url}/v2/`, { headers })

  assert.equal(status, 200)
  assert.deepEqual(warnings, [])
})
