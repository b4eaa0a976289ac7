import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/load.ts'
import { createCore } from '../../src/service/core.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { respond, startFakeRuntime } from '../support/fake-runtime.ts'
import { temporaryFolder } from '../support/stack.ts'

const logger = createLogger('silent')

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
