import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { RegistryHealth } from '../../../src/registry/health.ts'
import type { ImageRequest } from '../../../src/registry/image.ts'
import type { Resolution } from '../../../src/resolver/types.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { identity, nginx, type Reply } from '../../support/resolver.ts'
import { has, missing, never, resolverScene } from '../../support/resolver-scene.ts'

const IMAGE = identity('a')
const fails: Reply = async () => {
  throw new ResolveError('UNAVAILABLE', 'm1: not in order (500)', { step: 'manifest', status: 500 })
}

/** Two mirrors, of which the first one is as the test says; the health of registries is the real one. */
function scene(first: Reply) {
  const clock = new FakeClock()
  const health = new RegistryHealth({
    now: () => clock.now(),
    steady: () => clock.now(),
    random: () => 0.5,
  })
  const made = resolverScene({ m1: first, m2: has(IMAGE), 'docker.io': missing }, { clock, health })
  const ask = async (
    path: string,
  ): Promise<{ readonly found: Resolution; readonly ms: number }> => {
    const begunAt = clock.now()
    let ms: number | undefined
    const resolving = made.resolver.resolve(nginx({ path }), { refresh: true }).then((found) => {
      ms = clock.now() - begunAt
      return found
    })
    while (ms === undefined) await clock.advance(100)
    return { found: await resolving, ms }
  }
  const askedOf = (registry: string): number =>
    made.source.requests.filter(({ endpoint }) => endpoint.host === registry).length
  return { ...made, ask, askedOf, clock, health }
}

for (const [how, broken] of Object.entries({ 'answers 500': fails, 'never answers': never })) {
  test(`a mirror that ${how} to one name stays open for all others, however often that is asked`, async () => {
    const answer = (request: ImageRequest) =>
      request.repository === 'team/weird' ? broken(request) : has(IMAGE)(request)
    const { ask, clock, health } = scene(answer)
    const winners = new Set<string>()

    for (let round = 0; round < 60; round += 1) {
      assert.equal((await ask('team/weird')).found.registry, 'm2')
      winners.add((await ask(`team/app-${round}`)).found.registry)
      await clock.advance(500)
    }

    assert.deepEqual([...winners], ['m1'])
    assert.equal(health.report('m1').state, 'closed')
  })
}

test('a mirror that never answers costs its budget once, whatever is asked for then', async () => {
  const { ask, askedOf, clock, health } = scene(never)

  const first = await ask('team/one')
  const others = [await ask('team/two'), await ask('team/three'), await ask('team/four')]
  await clock.advance(2_000)
  const asked = askedOf('m1')
  const later = await ask('team/five')

  assert.equal(first.ms, 2_000)
  assert.deepEqual(
    others.map(({ ms }) => ms),
    [0, 0, 0],
  )
  assert.equal(later.ms, 0)
  assert.equal(askedOf('m1'), asked)
  assert.equal(health.report('m1').state, 'open')
})

test('a mirror that fails for everything is left alone after three repositories', async () => {
  const { ask, askedOf, health } = scene(fails)

  for (const path of ['team/one', 'team/two', 'team/three', 'team/four']) await ask(path)

  assert.equal(askedOf('m1'), 3)
  assert.equal(health.report('m1').state, 'open')
})
