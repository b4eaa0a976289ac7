import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/load.ts'
import { toResolveError } from '../../src/errors.ts'
import { parseReference } from '../../src/reference/reference.ts'
import { createCore } from '../../src/service/core.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { startScriptedRegistry } from '../support/scripted-registry.ts'
import { temporaryFolder } from '../support/stack.ts'
import { NOT_THERE } from './fault.ts'
import { refusing } from './sick-registries.ts'

test('beside a dead and a silent registry an image that is nowhere costs the silence once, and is then a 404 that says who was not asked', async (t) => {
  const dead = await refusing(t, '', 0)
  const silent = await startScriptedRegistry(t, [{ ends: 'hang', always: true }])
  const well = await startScriptedRegistry(t, [NOT_THERE])
  const registries = [dead.address, silent.url, well.url].map((address, index) => ({
    address,
    priority: 900 - index,
  }))
  const text = JSON.stringify({
    image: temporaryFolder(t),
    mirrorsOnly: ['docker.io'],
    probeBudget: '200ms',
    registries,
  })
  const { config } = parseConfig(text, { file: undefined, socketExists: () => false, env: {} })
  const core = createCore(config, silentLogger(), () => undefined, 2_000)
  t.after(() => core.close())
  const ask = async (name: string) =>
    toResolveError(await core.resolver.resolve(parseReference(name)).catch((thrown) => thrown))

  const first = await ask('nowhere:1')
  const askedOnce = silent.requests.length
  const later = [await ask('nowhere:2'), await ask('nowhere:3')]

  assert.equal(first.code, 'DEADLINE_EXCEEDED')
  assert.equal(askedOnce, 1)
  assert.equal(silent.requests.length, 1)
  for (const { attempts, code, message } of later) {
    assert.equal(code, 'MANIFEST_UNKNOWN')
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ['unreachable', 'skipped', 'not_found'],
    )
    assert.match(message, /not asked: it failed a moment ago/)
  }
})
