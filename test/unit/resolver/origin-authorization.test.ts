import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { Credentials } from '../../../src/registry/credentials.ts'
import type { ImageIdentity } from '../../../src/registry/image.ts'
import type { Divergence } from '../../../src/resolver/types.ts'
import { UnresolvedError } from '../../../src/resolver/unresolved-error.ts'
import { settle } from '../../support/fake-clock.ts'
import { entry, identity, nginx, type Reply, registriesOf } from '../../support/resolver.ts'
import { down, has, missing, never, refused, resolverScene } from '../../support/resolver-scene.ts'

const POD: Credentials = { kind: 'basic', username: 'pod', password: 'secret' }
const OWN: Credentials = { kind: 'basic', username: 'mirror', password: 'own' }

/** Two mirrors that are not trusted, with credentials of their own, before the origin docker.io. */
function scene(replies: Record<string, Reply>) {
  const all = resolverScene(replies)
  const untrusted = { trusted: false, credentials: OWN }
  all.state.registries = registriesOf([entry('m1', untrusted), entry('m2', untrusted)])
  return all
}

/** The origin opens for the pod's secret alone. */
const forThePod: Reply = async ({ credentials }) => {
  if (credentials === POD) return identity('a')
  throw new ResolveError('UNAUTHORIZED', 'authentication required', { status: 401 })
}

test('a mirror that is not trusted is used after the origin accepted the caller’s credentials', async () => {
  const { resolver, source } = scene({ m1: has(identity('a')), 'docker.io': forThePod })

  const { registry } = await resolver.resolve(nginx(), { credentials: POD })

  assert.equal(registry, 'm1')
  assert.deepEqual(source.asked, [
    'HEAD docker.io/library/nginx latest',
    `GET m1/library/nginx ${identity('a').digest}`,
  ])
  assert.deepEqual(
    source.requests.map(({ credentials }) => credentials),
    [POD, OWN],
  )
})

test('the origin is asked once for all mirrors that need its consent', async () => {
  const { resolver, source } = scene({
    m1: missing,
    m2: has(identity('a')),
    'docker.io': forThePod,
  })

  const { registry } = await resolver.resolve(nginx(), { credentials: POD })

  assert.equal(registry, 'm2')
  assert.equal(source.asked.filter((question) => question.startsWith('HEAD docker.io')).length, 1)
})

test('refused by the origin a caller gets nothing from mirrors that are not trusted', async () => {
  for (const reply of [refused, missing]) {
    const { resolver, source, health } = scene({ 'docker.io': reply })

    await assert.rejects(resolver.resolve(nginx(), { credentials: POD }), (error: unknown) => {
      assert.ok(error instanceof UnresolvedError)
      assert.match(error.candidates[0]?.why ?? '', /not trusted.*to these credentials/)
      assert.equal(error.candidates[0]?.outcome, 'skipped')
      return true
    })

    assert.ok(source.asked.every((question) => question.includes('docker.io')))
    assert.ok(health.told.every((line) => line.startsWith('docker.io')))
  }
})

test('without credentials the origin has to give the image anonymously', async () => {
  const privately = scene({ m1: has(identity('a')), 'docker.io': forThePod })
  await assert.rejects(privately.resolver.resolve(nginx()), { code: 'UNAUTHORIZED' })
  const publicly = scene({ m1: has(identity('a')), 'docker.io': has(identity('a')) })

  const { registry } = await publicly.resolver.resolve(nginx())

  assert.equal(registry, 'm1')
  assert.equal(publicly.source.requests[0]?.credentials, undefined)
})

test('the operator’s own credentials of the origin open nothing for a caller without any', async () => {
  const operators: Credentials = { kind: 'basic', username: 'ops', password: 'x' }
  const { resolver, source, state } = resolverScene({ 'docker.io': forThePod })
  const hub = entry('docker.io', { credentials: operators })
  state.registries = {
    ...registriesOf([entry('m1', { trusted: false })]),
    origin: () => ({ endpoint: hub.endpoint, entry: hub, configured: true }),
  }

  await assert.rejects(resolver.resolve(nginx()), { code: 'UNAUTHORIZED' })

  const [consent, asked] = source.requests
  assert.equal(consent?.credentials, undefined)
  assert.equal(asked?.credentials, operators)
})

test('while the origin is out of reach a mirror that is not trusted is left alone', async () => {
  const unreachable = scene({ 'docker.io': down })
  await assert.rejects(unreachable.resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
  const resting = scene({ 'docker.io': down })
  resting.health.resting.add('docker.io')
  await assert.rejects(resting.resolver.resolve(nginx()), { code: 'UNAVAILABLE' })
  const silent = scene({ 'docker.io': never })
  const waiting = assert.rejects(silent.resolver.resolve(nginx()), { code: 'DEADLINE_EXCEEDED' })
  await silent.clock.advance(20_000)
  await waiting

  assert.deepEqual(resting.source.asked, ['GET docker.io/library/nginx latest'])
  for (const { source } of [unreachable, resting, silent]) {
    assert.ok(source.asked.every((question) => question.includes('docker.io')))
  }
})

test('a mirror is not blamed for an origin that is silent', async () => {
  const { resolver, state, clock, health } = resolverScene({
    m2: has(identity('a')),
    'docker.io': never,
  })
  state.registries = registriesOf([entry('m1', { trusted: false }), entry('m2')])

  const resolving = resolver.resolve(nginx())
  await clock.advance(2_000)
  const { registry } = await resolving

  assert.equal(registry, 'm2')
  assert.deepEqual(health.told, ['docker.io failed', 'm2 ok'])
})

test('where `mirrorsOnly` rules out the origin there is no consent', async () => {
  const { resolver, source, state } = resolverScene({})
  state.registries = {
    ...registriesOf([entry('m1', { trusted: false })]),
    mirrorsOnly: () => 'docker.io',
  }

  await assert.rejects(resolver.resolve(nginx()), {
    code: 'UNAVAILABLE',
    message: /`mirrorsOnly` forbids asking its origin/,
  })
  assert.deepEqual(source.asked, [])
})

test('a mirror that is not trusted and was not needed is no place to pull from', async () => {
  const { resolver, state } = resolverScene({ m1: has(identity('a')) })
  state.registries = registriesOf([entry('m1'), entry('m2', { trusted: false })])

  const { references } = await resolver.resolve(nginx())

  assert.ok(references.every(({ registry }) => registry !== 'm2'))
})

test('what was consented to is asked anew, even for a digest', async () => {
  const { digest } = identity('a')
  const { resolver, source, clock } = scene({ m1: has(identity('a')), 'docker.io': forThePod })
  await resolver.resolve(nginx({ digest }), { credentials: POD })

  await clock.advance(60_000)
  source.replies['docker.io'] = refused

  await assert.rejects(resolver.resolve(nginx({ digest }), { credentials: POD }), {
    code: 'UNAUTHORIZED',
  })
})

test('a caller that leaves while the origin is asked ends that too', async () => {
  const { resolver, source, clock } = scene({ 'docker.io': never })
  const leaving = new AbortController()

  const resolving = assert.rejects(resolver.resolve(nginx(), { signal: leaving.signal }), {
    code: 'CANCELED',
  })
  await settle()
  leaving.abort()
  await resolving
  await settle()

  assert.ok(source.requests[0]?.signal.aborted)
  assert.equal(clock.pendingTimers, 0)
})

test('while the origin is busy its consent is awaited for a budget only, and counts against no registry', async () => {
  const { resolver, clock, health } = scene({
    'docker.io': ({ ticket }) => {
      ticket?.waiting?.()
      return new Promise(() => {})
    },
  })

  const all = resolver.resolve(nginx(), { all: true })
  all.catch(() => {})
  await clock.advance(2_000)
  const told = [...health.told]
  await clock.advance(18_000)

  await assert.rejects(all, (error: unknown) => {
    assert.ok(error instanceof UnresolvedError)
    assert.match(
      error.candidates[0]?.why ?? '',
      /has to agree, is asked by many: waited 2\.0 s in line/,
    )
    return true
  })
  assert.deepEqual(told, [])
  assert.deepEqual(health.told, [])
})

test('the budget of the consent counts from the request to the origin', async () => {
  const { resolver, clock, health } = scene({
    m1: has(identity('a')),
    'docker.io': ({ ticket }) => {
      ticket?.waiting?.()
      return new Promise((resolve) => {
        clock.after(1_500, () => ticket?.entered?.())
        clock.after(3_000, () => resolve(identity('a')))
      })
    },
  })

  const resolving = resolver.resolve(nginx(), { all: true })
  await clock.advance(20_000)

  assert.equal((await resolving).registry, 'm1')
  assert.ok(health.told.includes('docker.io ok'))
})

/** Has other images by its tag and digests, and says so of what it is asked for. */
const holding =
  (tag: ImageIdentity, ...others: readonly ImageIdentity[]): Reply =>
  async (request) => {
    const image = [tag, ...others].find(({ digest }) => digest === request.reference)
    if (request.reference === 'latest') return tag
    return image ?? missing(request)
  }

test('a mirror that is not trusted is asked for the digest of the origin, whatever its own tag says', async () => {
  const [good, other] = [identity('good'), identity('other')]
  const stale = scene({ m1: holding(other, good), 'docker.io': holding(good) })
  const foreign = scene({
    m1: holding(other),
    m2: holding(other),
    'docker.io': holding(good),
  })

  const [bound, passedOver] = await Promise.all([
    stale.resolver.resolve(nginx(), { credentials: POD }),
    foreign.resolver.resolve(nginx(), { credentials: POD }),
  ])

  assert.deepEqual([bound.registry, bound.digest], ['m1', good.digest])
  assert.deepEqual([passedOver.registry, passedOver.digest], ['docker.io', good.digest])
  for (const { references } of [bound, passedOver]) {
    assert.ok(references.every(({ reference }) => !reference.includes(other.digest)))
    assert.ok(
      references.every(({ kind, registry }) => kind === 'digest' || registry === 'docker.io'),
    )
  }
  assert.equal(
    passedOver.candidates?.[0]?.why,
    'passed over: it does not have the digest that its origin names',
  )
})

test('what is known of the digest of the origin is enough, and nothing else is', async () => {
  const { resolver, source } = scene({
    m1: holding(identity('a'), identity('b')),
    'docker.io': has(identity('a')),
  })
  await resolver.resolve(nginx(), { credentials: POD })
  source.asked.length = 0

  await resolver.resolve(nginx(), { credentials: POD, refresh: true })
  source.replies['docker.io'] = has(identity('b'))
  const moved = await resolver.resolve(nginx(), { credentials: POD, refresh: true })

  const head = 'HEAD docker.io/library/nginx latest'
  assert.deepEqual(source.asked, [
    head,
    `HEAD m1/library/nginx ${identity('a').digest}`,
    head,
    `GET m1/library/nginx ${identity('b').digest}`,
  ])
  assert.equal(moved.digest, identity('b').digest)
})

test('consent to one digest makes no mirror a place for another', async () => {
  const [ours, theirs] = [identity('ours'), identity('theirs')]
  const { resolver, state, source } = resolverScene({
    m1: holding(ours),
    m2: holding(ours, theirs),
    'docker.io': holding(theirs),
  })
  state.registries = registriesOf([
    entry('m1'),
    entry('m2', { trusted: false, capabilities: ['pull'] }),
  ])

  const { digest, references, candidates } = await resolver.resolve(nginx())

  assert.equal(digest, ours.digest)
  assert.ok(references.every(({ registry }) => registry !== 'm2'))
  assert.match(candidates?.[1]?.why ?? '', /its origin names another digest by this tag/)
  assert.ok(source.asked.every((question) => !question.includes(' m2/')))
  assert.deepEqual(
    candidates?.map((each) => [each.registry, each.digest, each.divergent]),
    [
      ['m1', ours.digest, undefined],
      ['m2', undefined, undefined],
      ['docker.io', theirs.digest, true],
    ],
  )
})

test('two registries that name different digests by one tag are reported, by a digest never', async () => {
  const told: Divergence[] = []
  const observer = {
    resolved: () => {},
    failed: () => {},
    diverged: (each: Divergence) => void told.push(each),
  }
  const [ours, theirs] = [identity('ours'), identity('theirs')]
  const { resolver } = resolverScene(
    { m1: holding(ours), m2: holding(theirs, ours), 'docker.io': holding(ours) },
    { observer },
  )

  await resolver.resolve(nginx(), { all: true })
  await resolver.resolve(nginx({ digest: ours.digest }), { all: true })

  assert.deepEqual(told, [
    {
      reference: 'docker.io/library/nginx:latest',
      chosen: { registry: 'm1', digest: ours.digest },
      other: { registry: 'm2', digest: theirs.digest },
    },
  ])
})

test('consent to an artifact is consent to its digest', async () => {
  const { digest } = identity('chart')
  const found = { digest, mediaType: 'application/vnd.example', size: 2 }
  const chart: Reply = async () => {
    throw new ResolveError('NOT_AN_IMAGE', 'an artifact', { status: 200, found })
  }
  const { resolver, source } = scene({ m1: chart, m2: chart, 'docker.io': chart })

  await assert.rejects(resolver.resolve(nginx(), { credentials: POD }), {
    code: 'NOT_AN_IMAGE',
    found: { ...found, registry: 'm1' },
  })

  assert.ok(source.asked.includes(`GET m1/library/nginx ${digest}`))
})
