import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { Credentials } from '../../../src/registry/credentials.ts'
import { settle } from '../../support/fake-clock.ts'
import {
  AMD64,
  digestOf,
  entry,
  identity,
  nginx,
  type Reply,
  registriesOf,
} from '../../support/resolver.ts'
import { down, has, missing, never, refused, resolverScene } from '../../support/resolver-scene.ts'

test('a tag is resolved with one GET at the best registry', async () => {
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })

  const resolution = await resolver.resolve(nginx())

  assert.deepEqual(source.asked, ['GET m1/library/nginx latest'])
  assert.equal(resolution.reference, 'docker.io/library/nginx:latest')
  assert.equal(resolution.imageId, identity('a').imageId)
  assert.equal(resolution.registry, 'm1')
  assert.equal(resolution.source, 'registry')
  assert.equal(resolution.resolvedAt, clock.now())
  assert.equal(resolution.expiresAt, clock.now() + 60_000)
  assert.deepEqual(resolution.references[0], {
    reference: `m1/library/nginx@${identity('a').digest}`,
    kind: 'digest',
    registry: 'm1',
    priority: 500,
    verified: true,
  })
})

test('a fresh answer comes from the cache, without a request', async () => {
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })

  const first = await resolver.resolve(nginx())
  await clock.advance(59_999)
  const second = await resolver.resolve(nginx())

  assert.equal(second.source, 'cache')
  assert.deepEqual(second, { ...first, source: 'cache', attempts: [] })
  assert.equal(source.asked.length, 1)
})

test('a prepared question gives what is fresh, the same object until something changes', async () => {
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })
  const prepared = resolver.prepare(nginx())
  const unknown = prepared()
  await resolver.resolve(nginx())

  const first = prepared()
  const second = prepared()
  source.replies['m1'] = has(identity('b'))
  await resolver.resolve(nginx(), { refresh: true })
  const moved = prepared()
  await clock.advance(60_000)
  const expired = prepared()

  assert.equal(unknown, undefined)
  assert.equal(first?.source, 'cache')
  assert.equal(first?.imageId, identity('a').imageId)
  assert.equal(second, first)
  assert.equal(moved?.imageId, identity('b').imageId)
  assert.equal(expired, undefined)
})

test('a prepared question asks for the answers of the configuration in force', async () => {
  const { resolver, state } = resolverScene({ m1: has(identity('a')) })
  const prepared = resolver.prepare(nginx())
  await resolver.resolve(nginx())

  const before = prepared()
  state.registries = registriesOf([entry('m1'), entry('m2')], 2)
  const after = prepared()

  assert.equal(before?.imageId, identity('a').imageId)
  assert.equal(after, undefined)
})

test('an expired tag that did not move costs one HEAD', async () => {
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })

  await resolver.resolve(nginx())
  await clock.advance(60_000)
  const second = await resolver.resolve(nginx())

  assert.deepEqual(source.asked.slice(1), ['HEAD m1/library/nginx latest'])
  assert.equal(second.source, 'registry')
  assert.equal(second.resolvedAt, clock.now())
})

test('refresh asks again although the answer is fresh', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('a')) })

  await resolver.resolve(nginx())
  await resolver.resolve(nginx(), { refresh: true })

  assert.deepEqual(source.asked.slice(1), ['HEAD m1/library/nginx latest'])
})

test('a tag that moved is fetched by its new digest', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('a')) })

  await resolver.resolve(nginx())
  source.replies['m1'] = has(identity('b'))
  const moved = await resolver.resolve(nginx(), { refresh: true })

  assert.equal(moved.imageId, identity('b').imageId)
  assert.deepEqual(source.asked.slice(1), [
    'HEAD m1/library/nginx latest',
    `GET m1/library/nginx ${identity('b').digest}`,
  ])
})

test('a tag that moved back costs no GET: what a digest is, is known for ever', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('a')) })
  await resolver.resolve(nginx())
  source.replies['m1'] = has(identity('b'))
  await resolver.resolve(nginx(), { refresh: true })

  source.replies['m1'] = has(identity('a'))
  const back = await resolver.resolve(nginx(), { refresh: true })

  assert.equal(back.imageId, identity('a').imageId)
  assert.equal(source.asked.at(-1), 'HEAD m1/library/nginx latest')
})

test('a digest is asked for as such and never expires', async () => {
  const { digest } = identity('a')
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })

  const first = await resolver.resolve(nginx({ digest }))
  await clock.advance(400 * 86_400_000)
  const second = await resolver.resolve(nginx({ digest }))
  const third = await resolver.resolve(nginx({ digest }), { refresh: true })

  const asked = `m1/library/nginx ${digest}`
  assert.deepEqual(source.asked, [`GET ${asked}`, `HEAD ${asked}`])
  assert.equal(first.expiresAt, undefined)
  assert.equal(first.reference, `docker.io/library/nginx:latest@${digest}`)
  assert.equal(second.source, 'cache')
  assert.equal(third.source, 'registry')
})

test('the next registry is used when the first does not have it', async () => {
  const { resolver } = resolverScene({ m1: missing, m2: has(identity('a')) })

  const resolution = await resolver.resolve(nginx())

  assert.equal(resolution.registry, 'm2')
  assert.ok(resolution.references.every(({ registry }) => registry !== 'm1'))
  assert.deepEqual(
    resolution.attempts.map(({ registry, outcome }) => `${registry} ${outcome}`),
    ['m1 not_found', 'm2 ok'],
  )
})

test('a registry whose tag leads elsewhere is not listed beside the winner', async () => {
  const { resolver, clock, source } = resolverScene({ m2: has(identity('b')) })
  source.replies['m1'] = () =>
    new Promise((resolve) => clock.after(500, () => resolve(identity('a'))))

  const resolving = resolver.resolve(nginx())
  await clock.advance(500)
  const { registry, references } = await resolving

  assert.equal(registry, 'm1')
  assert.ok(references.every((reference) => reference.registry !== 'm2'))
})

test('when all registries are down the last answer is given, marked as stale', async () => {
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: down, m2: down, 'docker.io': down })

  await clock.advance(3_600_000)
  const stale = await resolver.resolve(nginx())

  assert.equal(stale.source, 'stale')
  assert.equal(stale.imageId, identity('a').imageId)
  assert.equal(stale.attempts.length, 3)
})

test('one registry that says no is an answer: nothing stale is given instead', async () => {
  for (const no of [refused, missing]) {
    const { resolver, source, clock, cache } = resolverScene({ m1: has(identity('a')) })
    await resolver.resolve(nginx())
    Object.assign(source.replies, { m1: down, m2: no, 'docker.io': down })

    await clock.advance(3_600_000)

    await assert.rejects(resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
    assert.equal(cache.counts().stale, 0)
  }
})

test('a registry that never had the image says nothing new by not having it', async () => {
  const { resolver, source, clock } = resolverScene({
    m1: missing,
    m2: missing,
    'docker.io': has(identity('a')),
  })
  await resolver.resolve(nginx())
  Object.assign(source.replies, { 'docker.io': down })

  await clock.advance(3_600_000)

  assert.equal((await resolver.resolve(nginx())).source, 'stale')
})

test('a registry that says for the first time that it has no such image counts as a no', async () => {
  const broken: Reply = async () => {
    throw new ResolveError('UNAVAILABLE', 'm1: not in order', { status: 503 })
  }
  const { resolver, source, clock, cache } = resolverScene({
    m1: broken,
    m2: has(identity('a')),
  })
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: missing, m2: down, 'docker.io': down })

  await clock.advance(3_600_000)

  await assert.rejects(resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
  assert.equal(cache.counts().stale, 0)
})

test('a registry whose tag pointed at another image says nothing new by not having it', async () => {
  const { resolver, source, clock } = resolverScene({
    m1: has(identity('a')),
    m2: has(identity('b')),
    'docker.io': down,
  })
  await resolver.resolve(nginx(), { all: true })
  Object.assign(source.replies, { m1: down, m2: missing })

  await clock.advance(3_600_000)

  assert.equal((await resolver.resolve(nginx())).source, 'stale')
})

test('a registry that may resolve and not pull counts as a no when it loses the image', async () => {
  const { resolver, source, clock, state } = resolverScene({
    m1: has(identity('a')),
    m2: has(identity('a')),
    'docker.io': down,
  })
  state.registries = registriesOf([entry('m1'), entry('m2', { capabilities: ['resolve'] })])
  await resolver.resolve(nginx(), { all: true })
  Object.assign(source.replies, { m1: down, m2: missing })

  await clock.advance(3_600_000)

  await assert.rejects(resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
})

test('a mirror that may not be asked because its origin refused counts as a no', async () => {
  const { resolver, source, clock, state } = resolverScene({
    m1: has(identity('a')),
    m2: down,
    'docker.io': has(identity('a')),
  })
  state.registries = registriesOf([entry('m1', { trusted: false }), entry('m2')])
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: down, 'docker.io': refused })

  await clock.advance(3_600_000)

  await assert.rejects(resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
})

test('what is waited for until time is up is no answer: the last one is given', async () => {
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: never, m2: never, 'docker.io': never })

  await clock.advance(3_600_000)
  const resolving = resolver.resolve(nginx())
  await clock.advance(20_000)

  assert.equal((await resolving).source, 'stale')
})

test('no answer is older than a day', async () => {
  const { resolver, source, clock } = resolverScene({ m1: has(identity('a')) })
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: down, m2: down, 'docker.io': down })

  await clock.advance(86_400_001)

  await assert.rejects(resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
})

test('where stale answers are not wanted the failure is the answer', async () => {
  const { resolver, source, clock } = resolverScene(
    { m1: has(identity('a')) },
    { staleIfErrorMs: 0 },
  )
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: down, m2: down, 'docker.io': down })

  await clock.advance(60_000)

  await assert.rejects(resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
})

test('an image that no registry has any more is not found, whatever was known', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('a')) })
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: missing, m2: missing, 'docker.io': missing })

  await assert.rejects(resolver.resolve(nginx(), { refresh: true }), { code: 'MANIFEST_UNKNOWN' })
})

test('failures are not remembered', async () => {
  const { resolver, source } = resolverScene({ m1: down, m2: down, 'docker.io': down })
  await assert.rejects(resolver.resolve(nginx()), { code: 'UNAVAILABLE' })

  source.replies['m1'] = has(identity('a'))

  assert.equal((await resolver.resolve(nginx())).source, 'registry')
})

test('callers with other credentials, or for another platform, get their own answer', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('a')) })
  const pod: Credentials = { kind: 'basic', username: 'u', password: 'p' }

  await resolver.resolve(nginx())
  await resolver.resolve(nginx(), { credentials: pod })
  await resolver.resolve(nginx(), { platform: { os: 'linux', architecture: 'arm64' } })

  assert.equal(source.asked.length, 3)
})

test('a new configuration does not find the answers of the old one', async () => {
  const { resolver, source, state } = resolverScene({
    m1: has(identity('a')),
    m3: has(identity('b')),
  })
  await resolver.resolve(nginx())

  state.registries = registriesOf([entry('m3')], 2)
  const resolution = await resolver.resolve(nginx())

  assert.equal(resolution.registry, 'm3')
  assert.equal(source.asked.at(-1), 'GET m3/library/nginx latest')
})

test('a thousand callers of one tag cost one resolution, and a caller that leaves ends it for no other', async () => {
  const { resolver, source, clock } = resolverScene({})
  source.replies['m1'] = () =>
    new Promise((resolve) => clock.after(50, () => resolve(identity('a'))))
  const leaving = new AbortController()

  const left = assert.rejects(resolver.resolve(nginx(), { signal: leaving.signal }), {
    code: 'CANCELED',
  })
  const staying = Array.from({ length: 999 }, () => resolver.resolve(nginx()))
  leaving.abort()
  await clock.advance(50)

  await left
  const ids = new Set((await Promise.all(staying)).map(({ imageId }) => imageId))
  assert.deepEqual(ids, new Set([identity('a').imageId]))
  assert.equal(source.asked.length, 1)
})

test('a resolution ends when its time is over, with what was tried', async () => {
  const { resolver, source, clock } = resolverScene({})
  Object.assign(source.replies, { m1: never, m2: never, 'docker.io': never })

  const resolving = resolver.resolve(nginx())
  const failure = assert.rejects(resolving, (error: ResolveError) => {
    assert.equal(error.code, 'DEADLINE_EXCEEDED')
    assert.equal(error.attempts.length, 3)
    return true
  })
  await clock.advance(20_000)

  await failure
})

test('without a cache every question is asked', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('a')) }, { size: 0 })

  await resolver.resolve(nginx())
  await resolver.resolve(nginx())

  assert.deepEqual(source.asked, ['GET m1/library/nginx latest', 'GET m1/library/nginx latest'])
})

test('the digest of the reference is in every question', async () => {
  const digest = digestOf('pinned')
  const { resolver, source } = resolverScene({ m1: missing, m2: missing, 'docker.io': missing })

  await assert.rejects(resolver.resolve(nginx({ digest })))

  assert.equal(source.asked.length, 3)
  assert.ok(source.asked.every((question) => question.endsWith(` ${digest}`)))
})

test('an absence is cached for seconds, unless a caller refreshes', async () => {
  const { resolver, source, clock, cache } = resolverScene({
    m1: missing,
    m2: missing,
    'docker.io': missing,
  })
  await assert.rejects(resolver.resolve(nginx()), { code: 'MANIFEST_UNKNOWN' })

  await assert.rejects(resolver.resolve(nginx()), { code: 'MANIFEST_UNKNOWN' })
  assert.equal(source.asked.length, 3)
  await assert.rejects(resolver.resolve(nginx(), { refresh: true }), { code: 'MANIFEST_UNKNOWN' })
  assert.equal(source.asked.length, 6)
  await clock.advance(10_000)
  await assert.rejects(resolver.resolve(nginx()), { code: 'MANIFEST_UNKNOWN' })

  assert.equal(source.asked.length, 9)
  assert.equal(cache.counts().negative, 1)
})

test('a tag that is requested often is refreshed in the background before it expires', async () => {
  const { resolver, source, clock, cache } = resolverScene({ m1: has(identity('a')) })
  await resolver.resolve(nginx())
  for (let count = 0; count < 5; count += 1) await resolver.resolve(nginx())
  source.replies['m1'] = never

  await clock.advance(59_000)
  const hot = await resolver.resolve(nginx())
  const again = await resolver.resolve(nginx())
  await settle()

  assert.equal(hot.source, 'cache')
  assert.equal(again.source, 'cache')
  assert.deepEqual(source.asked.slice(1), ['HEAD m1/library/nginx latest'])
  assert.equal(cache.counts().hit, 7)
  resolver.close()
  await settle()
  assert.equal(clock.pendingTimers, 0)
})

test('a refresh in the background renews the answer', async () => {
  const { resolver, source, clock, cache } = resolverScene({ m1: has(identity('a')) })
  await resolver.resolve(nginx())
  for (let count = 0; count < 5; count += 1) await resolver.resolve(nginx())

  await clock.advance(59_000)
  await resolver.resolve(nginx())
  await clock.advance(30_000)
  const renewed = await resolver.resolve(nginx())

  assert.equal(renewed.source, 'cache')
  assert.equal(source.asked.length, 2)
  assert.equal(cache.counts().revalidated, 1)
})

test('the cache counts each outcome', async () => {
  const { resolver, source, clock, cache } = resolverScene({})
  source.replies['m1'] = () =>
    new Promise((resolve) => clock.after(50, () => resolve(identity('a'))))

  const both = [resolver.resolve(nginx()), resolver.resolve(nginx())]
  await clock.advance(50)
  await Promise.all(both)
  await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: down, m2: down, 'docker.io': down })
  const stale = await resolver.resolve(nginx(), { refresh: true })

  const { hit, miss, coalesced, stale: staleCount } = cache.counts()
  assert.deepEqual(
    { hit, miss, coalesced, staleCount },
    { hit: 1, miss: 1, coalesced: 1, staleCount: 1 },
  )
  assert.equal(stale.candidates?.length, 3)
  assert.ok(stale.candidates?.every(({ outcome }) => outcome === 'unreachable'))
})

test('an answer with an assumed platform is none for a caller that names that platform', async () => {
  const assumed = identity('a', { platform: { ...AMD64, assumed: true } })
  const { resolver, source } = resolverScene({ m1: has(assumed) })
  const first = await resolver.resolve(nginx())
  const quick = { any: resolver.prepare(nginx()), named: resolver.prepare(nginx(), AMD64) }
  source.replies['m1'] = has(identity('a'))

  const named = await resolver.resolve(nginx(), { platform: AMD64 })
  const then = await resolver.resolve(nginx())

  assert.equal(first.platform.assumed, true)
  assert.deepEqual([named.source, named.platform], ['registry', AMD64])
  assert.deepEqual([then.source, then.platform], ['cache', AMD64])
  assert.deepEqual(source.asked, ['GET m1/library/nginx latest', 'GET m1/library/nginx latest'])
  assert.deepEqual(source.lookedUp, [false, true])
  assert.equal(quick.named()?.source, 'cache')
  assert.equal(quick.any()?.source, 'cache')
})

test('a prepared question that names the platform never gives an assumed one', async () => {
  const assumed = identity('a', { platform: { ...AMD64, assumed: true } })
  const { resolver } = resolverScene({ m1: has(assumed) })
  await resolver.resolve(nginx())

  assert.equal(resolver.prepare(nginx(), AMD64)(), undefined)
  assert.equal(resolver.prepare(nginx())()?.source, 'cache')
})

test('an absence for a named platform is none for callers that name none', async () => {
  const { resolver, source, cache } = resolverScene({
    m1: has(identity('a', { platform: { ...AMD64, assumed: true } })),
    m2: missing,
    'docker.io': missing,
  })
  const otherPlatform: Reply = async () => {
    throw new ResolveError('PLATFORM_UNKNOWN', 'there is linux/arm64', { status: 200 })
  }
  const given = { ...source.replies }
  const named = { platform: AMD64 }
  Object.assign(source.replies, { m1: otherPlatform })
  await assert.rejects(resolver.resolve(nginx(), named), { code: 'PLATFORM_UNKNOWN' })
  Object.assign(source.replies, given)
  const first = await resolver.resolve(nginx())
  Object.assign(source.replies, { m1: otherPlatform })
  await assert.rejects(resolver.resolve(nginx(), named), { code: 'PLATFORM_UNKNOWN' })
  await assert.rejects(resolver.resolve(nginx(), named), { code: 'PLATFORM_UNKNOWN' })
  const second = await resolver.resolve(nginx())

  assert.deepEqual([first.source, second.source], ['registry', 'cache'])
  assert.equal(cache.counts().negative, 1)
})

test('callers that name the platform do not join those that do not', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('a')) })

  await Promise.all([
    resolver.resolve(nginx()),
    resolver.resolve(nginx(), { platform: AMD64 }),
    resolver.resolve(nginx(), { platform: AMD64 }),
  ])

  assert.deepEqual(source.lookedUp, [false, true])
})

test('beside a silent private registry the next one is asked by HEAD, and by GET when its turn comes', async () => {
  const { resolver, source, clock } = resolverScene({ m1: never, m2: has(identity('a')) })

  const resolving = resolver.resolve(nginx())
  await clock.advance(1_999)
  const asked = [...source.asked]
  await clock.advance(1)
  const { registry } = await resolving

  assert.equal(registry, 'm2')
  assert.deepEqual(asked, ['GET m1/library/nginx latest', 'HEAD m2/library/nginx latest'])
  assert.deepEqual(source.asked.slice(2), [`GET m2/library/nginx ${identity('a').digest}`])
})

test('the origin and public registries are asked nothing beside a silent one', async () => {
  const { resolver, source, clock, state } = resolverScene({
    m1: never,
    'quay.io': has(identity('a')),
    'docker.io': has(identity('a')),
  })
  state.registries = {
    ...registriesOf([entry('m1'), entry('quay.io')]),
    isPublic: (host) => host.endsWith('.io'),
  }

  const resolving = resolver.resolve(nginx())
  await clock.advance(1_999)
  assert.deepEqual(source.asked, ['GET m1/library/nginx latest'])
  await clock.advance(1)

  assert.equal((await resolving).registry, 'quay.io')
  assert.deepEqual(source.asked.slice(1), ['GET quay.io/library/nginx latest'])
})

test('the digest of a hedge makes its registry a place to pull from, or a divergent one', async () => {
  for (const [seed, standing] of [
    ['a', 'verified'],
    ['b', 'divergent'],
  ] as const) {
    const { resolver, source, clock } = resolverScene({ m2: has(identity(seed)) })
    source.replies['m1'] = () =>
      new Promise((resolve) => clock.after(500, () => resolve(identity('a'))))

    const resolving = resolver.resolve(nginx())
    await clock.advance(500)
    const { candidates, references, registry } = await resolving

    assert.equal(registry, 'm1')
    assert.equal(candidates?.[1]?.digest, identity(seed).digest)
    assert.equal(candidates?.[1]?.divergent ?? false, standing === 'divergent')
    const place = references.find((each) => each.registry === 'm2')
    assert.equal(place?.verified, standing === 'verified' ? true : undefined)
  }
})

test('what a hedge names is known without a GET where its digest is', async () => {
  const { resolver, source, clock } = resolverScene({
    m1: has(identity('a')),
    m2: has(identity('a')),
  })
  await resolver.resolve(nginx({ tag: '1' }))
  source.replies['m1'] = never
  source.asked.length = 0

  const resolving = resolver.resolve(nginx())
  await clock.advance(2_000)

  assert.equal((await resolving).registry, 'm2')
  assert.deepEqual(source.asked, ['GET m1/library/nginx latest', 'HEAD m2/library/nginx latest'])
})

test('another budget and delay hold from the next resolution on', async () => {
  const limits = { hedgeDelayMs: 300, probeBudgetMs: 2_000, totalMs: 20_000 }
  const { resolver, source, clock } = resolverScene(
    { m1: never, m2: has(identity('a')) },
    { limits: () => limits },
  )
  Object.assign(limits, { hedgeDelayMs: 0, probeBudgetMs: 500 })

  const resolving = resolver.resolve(nginx())
  await clock.advance(499)
  assert.deepEqual(source.asked, ['GET m1/library/nginx latest'])
  await clock.advance(1)

  assert.equal((await resolving).registry, 'm2')
})

test('the budget of the consent counts from the last response of the origin', async () => {
  const { resolver, state, clock, source } = resolverScene({ m1: has(identity('a')) })
  state.registries = registriesOf([entry('m1', { trusted: false })])
  source.replies['docker.io'] = ({ observe }) =>
    new Promise((resolve) => {
      const token = { method: 'GET', url: 'https://auth/token', status: 200, ms: 1 } as const
      clock.after(1_900, () => observe?.(token))
      clock.after(3_800, () => resolve(identity('a')))
    })

  const resolving = resolver.resolve(nginx(), { all: true })
  await clock.advance(6_000)

  assert.equal((await resolving).registry, 'm1')
})
