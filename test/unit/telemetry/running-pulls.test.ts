import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RunningPulls } from '../../../src/telemetry/running-pulls.ts'

const LAYERS = { done: 1, total: 3, bytes: 10, totalBytes: 40 }

function scene() {
  let time = Date.parse('2026-01-02T03:04:05.000Z')
  const pulls = new RunningPulls(() => time)
  return {
    pulls,
    pass: (ms: number) => {
      time += ms
    },
  }
}

test('a pull is listed from its beginning to its end, with its pod, registry and layers', async () => {
  const { pass, pulls } = scene()
  const pod = { namespace: 'kube-system', name: 'dns-0' }
  const first = pulls.begin('nginx:1', pod)
  pass(1_500)
  const second = pulls.begin('app', undefined)
  first.from('hub:5000', async () => LAYERS)

  const { pulls: listed, running } = await pulls.list()
  first.end()
  second.end()

  assert.equal(running, 2)
  assert.deepEqual(listed, [
    {
      reference: 'nginx:1',
      since: '2026-01-02T03:04:05.000Z',
      seconds: 1.5,
      registry: 'hub:5000',
      pod,
      layers: LAYERS,
    },
    { reference: 'app', since: '2026-01-02T03:04:06.500Z', seconds: 0, registry: null },
  ])
  assert.deepEqual(await pulls.list(), { running: 0, pulls: [] })
})

test('the next registry takes the place of the one before, and a pull that is passed on has none', async () => {
  const { pulls } = scene()
  const pull = pulls.begin('nginx', undefined)
  pull.from('first', async () => LAYERS)
  pull.from('second', undefined)

  const [second] = (await pulls.list()).pulls
  pull.passedOn()
  const [passed] = (await pulls.list()).pulls

  assert.deepEqual([second?.registry, second?.layers], ['second', undefined])
  assert.equal(passed?.registry, null)
})

test('callers that come soon after each other share one look at the runtime', async () => {
  const { pass, pulls } = scene()
  let looks = 0
  pulls.begin('nginx', undefined).from('hub', async () => {
    looks += 1
    return LAYERS
  })

  await Promise.all([pulls.list(), pulls.list(), pulls.layersOf('nginx')])
  assert.equal(looks, 1)
  pass(1_000)
  await pulls.layersOf('nginx')
  assert.equal(looks, 2)
  assert.equal(await pulls.layersOf('other'), undefined)
})

test('a look that fails leaves the layers out, and of very many pulls the oldest 100 are listed', async () => {
  const { pulls } = scene()
  for (let index = 0; index < 120; index += 1) {
    pulls.begin(`app:${index}`, undefined).from('hub', () => Promise.reject(new Error('down')))
  }

  const { pulls: listed, running } = await pulls.list()

  assert.equal(running, 120)
  assert.equal(listed.length, 100)
  assert.equal(listed[0]?.reference, 'app:0')
  assert.ok(listed.every((pull) => !('layers' in pull)))
})
