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

test('to a registry that nobody configured a stranger comes without what the operator keeps', async () => {
  const { resolver, source } = scene()

  await assert.rejects(resolver.resolve(secret, { stranger: true }), { code: 'UNAUTHORIZED' })
  const own = await resolver.resolve(secret)

  assert.equal(own.imageId, identity('secret').imageId)
  assert.deepEqual(
    source.requests.map(({ credentials }) => credentials),
    [undefined, robot],
  )
})

test('at a configured registry everybody asks with what the operator keeps', async () => {
  const { resolver, source, state } = resolverScene({ m1: has(identity('a')) }, { keychain })
  state.registries = registriesOf([entry('m1')])

  await resolver.resolve(nginx(), { stranger: true })

  assert.deepEqual(source.requests[0]?.credentials, robot)
})

test('a stranger is not told what is known because of what the operator keeps', async () => {
  const { resolver } = scene()
  const prepared = resolver.prepare(secret, undefined, true)
  await resolver.resolve(secret)

  assert.equal(prepared(), undefined)
  await assert.rejects(resolver.resolve(secret, { stranger: true }), { code: 'UNAUTHORIZED' })
})

test('a stranger that is refused keeps the answer from nobody', async () => {
  const { resolver } = scene()
  const [stranger, own] = await Promise.allSettled([
    resolver.resolve(secret, { stranger: true }),
    resolver.resolve(secret),
  ])

  assert.equal(stranger.status, 'rejected')
  assert.equal(own.status, 'fulfilled')
})

test("a stranger's own credentials go to the origin all the same", async () => {
  const { resolver, source } = scene()
  const credentials = { kind: 'basic', username: 'me', password: 'mine' } as const

  await resolver.resolve(secret, { stranger: true, credentials })

  assert.deepEqual(source.requests[0]?.credentials, credentials)
})

test('where nothing is kept but for configured registries, all share what is known', async () => {
  const { resolver, source } = resolverScene(
    { m1: has(identity('a')) },
    { keepsForOthers: () => false },
  )
  await resolver.resolve(nginx())

  const told = await resolver.resolve(nginx(), { stranger: true })

  assert.equal(told.source, 'cache')
  assert.equal(source.asked.length, 1)
  assert.equal(resolver.prepare(nginx(), undefined, true)()?.imageId, identity('a').imageId)
})
