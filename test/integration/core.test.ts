import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/load.ts'
import { createCore } from '../../src/service/core.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { respond, startFakeRuntime } from '../support/fake-runtime.ts'
import { buildImage } from '../support/images.ts'
import { startScriptedRegistry } from '../support/scripted-registry.ts'
import { temporaryFolder } from '../support/stack.ts'

const logger = silentLogger()

test('a runtime that appears after the start is found', async (t) => {
  const path = `${temporaryFolder(t)}/runtime.sock`
  const { config } = parseConfig('', { file: undefined, socketExists: () => false })
  let found: string | undefined
  const core = createCore(config, logger, () => found)
  t.after(() => core.close())

  await assert.rejects(core.runtime(), { code: 'UNAVAILABLE', message: /no CRI runtime/ })
  const runtime = await startFakeRuntime(t, path)
  runtime.handle('/runtime.v1.RuntimeService/Version', ({ stream }) =>
    respond(stream, [Buffer.alloc(0)]),
  )
  found = path

  assert.equal(core.runtimeSocket(), path)
  assert.ok(await (await core.runtime()).cri.ready())
})

test('what the configuration names is used, whatever else there is', async (t) => {
  const { config } = parseConfig('cri: /run/other.sock', { file: 'x' })
  const core = createCore(config, logger, () => '/run/containerd/containerd.sock')
  t.after(() => core.close())

  assert.equal(core.runtimeSocket(), '/run/other.sock')
  assert.equal((await core.runtime()).path, '/run/other.sock')
})

test('a new configuration with the same registries keeps what is known; with other ones it is asked anew', async (t) => {
  const { mediaType, bytes } = buildImage()
  const headers = { 'content-type': mediaType }
  const registry = await startScriptedRegistry(t, [
    { always: true, status: 200, headers, body: bytes },
  ])
  const file = (more: string): string =>
    `address: http://${registry.host}\n${more}http: { listen: 127.0.0.1:0 }\n`
  const read = (more: string) => parseConfig(file(more), { file: 'x', socketExists: () => false })
  const core = createCore(read('').config, logger)
  t.after(() => core.close())
  await core.answers.answer('team/app:1')
  const before = registry.requests.length
  const { configuration } = core.metrics
  const hashes = [configuration.hash]

  core.reconfigure(read('# a comment\ndebug: true\n').config)
  await core.answers.answer('team/app:1')
  assert.equal(registry.requests.length, before)
  hashes.push(configuration.hash)

  core.reconfigure(read('mirrorsOnly: [docker.io]\n').config)
  await core.answers.answer('team/app:1')
  assert.ok(registry.requests.length > before)
  assert.equal(configuration.generation, 3)
  hashes.push(configuration.hash)
  assert.match(hashes[0] ?? '', /^[0-9a-f]{12}$/)
  assert.equal(hashes[1], hashes[0])
  assert.notEqual(hashes[2], hashes[0])
})
