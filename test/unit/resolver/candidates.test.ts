import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidatesFor } from '../../../src/resolver/candidates.ts'
import type { Registries } from '../../../src/resolver/types.ts'
import { entry, nginx, registriesOf } from '../../support/resolver.ts'

const pod = { kind: 'basic', username: 'pod', password: 'secret' } as const
const own = { kind: 'basic', username: 'mirror', password: 'other' } as const

test('the configured registries come in their order, the origin last', () => {
  const registries = registriesOf([entry('hub:5000', { priority: 1000 }), entry('harbor.corp')])

  const candidates = candidatesFor(nginx(), registries, undefined)

  assert.deepEqual(
    candidates.map(({ registry, priority, origin, configured }) => ({
      registry,
      priority,
      origin,
      configured,
    })),
    [
      { registry: 'hub:5000', priority: 1000, origin: false, configured: true },
      { registry: 'harbor.corp', priority: 500, origin: false, configured: true },
      { registry: 'docker.io', priority: 0, origin: true, configured: false },
    ],
  )
})

test('the prefix of an entry stands before the path, and never before the path at the origin', () => {
  const [mirror, origin] = candidatesFor(
    nginx(),
    registriesOf([entry('harbor.corp/proxy-docker')]),
    undefined,
  )

  assert.equal(mirror?.repository, 'proxy-docker/library/nginx')
  assert.equal(mirror?.pullName, 'harbor.corp/proxy-docker/library/nginx')
  assert.equal(origin?.repository, 'library/nginx')
  assert.equal(origin?.pullName, 'docker.io/library/nginx')
})

test("the caller's credentials go to the origin alone, a mirror gets its own or none", () => {
  const registries = registriesOf([entry('hub:5000', { credentials: own }), entry('open:5000')])

  const candidates = candidatesFor(nginx(), registries, pod)

  assert.deepEqual(
    candidates.map(({ credentials }) => credentials),
    [own, undefined, pod],
  )
})

test('an origin that is configured keeps the place and the credentials of its entry', () => {
  const hub = entry('registry-1.docker.io', { priority: 900, credentials: own })
  const registries: Registries = {
    generation: 1,
    serving: () => [hub, entry('harbor.corp')],
    origin: () => ({ endpoint: hub.endpoint, entry: hub }),
  }

  const anonymous = candidatesFor(nginx(), registries, undefined)
  const withSecret = candidatesFor(nginx(), registries, pod)

  assert.deepEqual(
    anonymous.map(({ registry, origin }) => ({ registry, origin })),
    [
      { registry: 'docker.io', origin: true },
      { registry: 'harbor.corp', origin: false },
    ],
  )
  assert.equal(anonymous[0]?.pullName, 'docker.io/library/nginx')
  assert.equal(anonymous[0]?.configured, true)
  assert.deepEqual(anonymous[0]?.credentials, own)
  assert.deepEqual(withSecret[0]?.credentials, pod)
})
