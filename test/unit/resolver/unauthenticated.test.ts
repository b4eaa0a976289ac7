import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Keychain } from '../../../src/resolver/types.ts'
import { entry, identity, nginx, registriesOf } from '../../support/resolver.ts'
import { has, refused, resolverScene } from '../../support/resolver-scene.ts'

const secret = nginx({ domain: 'private.corp', path: 'secret' })
const robot = { kind: 'basic', username: 'robot', password: 'r' } as const
const keychain: Keychain = { credentials: async () => robot }

/** A registry that nobody configured, and which gives its image to the robot alone. */
function scene(options: Parameters<typeof resolverScene>[1] = {}) {
  const privateCorp: Parameters<typeof resolverScene>[0][string] = (request) =>
    request.credentials === undefined ? refused(request) : has(identity('secret'))(request)
  const made = resolverScene({ 'private.corp': privateCorp }, { keychain, ...options })
  made.state.registries = registriesOf([])
  return made
}

test("for an unauthenticated caller a registry that is not configured gets none of the operator's credentials", async () => {
  const { resolver, source } = scene()

  await assert.rejects(resolver.resolve(secret, { unauthenticated: true }), {
    code: 'UNAUTHORIZED',
  })
  const own = await resolver.resolve(secret)

  assert.equal(own.imageId, identity('secret').imageId)
  assert.deepEqual(
    source.requests.map(({ credentials }) => credentials),
    [undefined, robot],
  )
})

test("a configured registry gets the operator's credentials for every caller", async () => {
  const { resolver, source, state } = resolverScene({ m1: has(identity('a')) }, { keychain })
  state.registries = registriesOf([entry('m1')])

  await resolver.resolve(nginx(), { unauthenticated: true })

  assert.deepEqual(source.requests[0]?.credentials, robot)
})

test("an unauthenticated caller does not get a cached answer that needed the operator's credentials", async () => {
  const { resolver } = scene()
  const prepared = resolver.prepare(secret, undefined, true)
  await resolver.resolve(secret)

  assert.equal(prepared(), undefined)
  await assert.rejects(resolver.resolve(secret, { unauthenticated: true }), {
    code: 'UNAUTHORIZED',
  })
})

test('the refusal of an unauthenticated caller does not affect others', async () => {
  const { resolver } = scene()
  const [refused, own] = await Promise.allSettled([
    resolver.resolve(secret, { unauthenticated: true }),
    resolver.resolve(secret),
  ])

  assert.equal(refused.status, 'rejected')
  assert.equal(own.status, 'fulfilled')
})

test("an unauthenticated caller's own credentials go to the origin", async () => {
  const { resolver, source } = scene()
  const credentials = { kind: 'basic', username: 'me', password: 'mine' } as const

  await resolver.resolve(secret, { unauthenticated: true, credentials })

  assert.deepEqual(source.requests[0]?.credentials, credentials)
})

test('all callers share the cache where the operator has credentials for configured registries alone', async () => {
  const { resolver, source } = resolverScene(
    { m1: has(identity('a')) },
    { keepsForOthers: () => false },
  )
  await resolver.resolve(nginx())

  const told = await resolver.resolve(nginx(), { unauthenticated: true })

  assert.equal(told.source, 'cache')
  assert.equal(source.asked.length, 1)
  assert.equal(resolver.prepare(nginx(), undefined, true)()?.imageId, identity('a').imageId)
})
