import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { Credentials } from '../../../src/registry/credentials.ts'
import { UnresolvedError } from '../../../src/resolver/unresolved-error.ts'
import type { FakeClock } from '../../support/fake-clock.ts'
import { entry, identity, nginx, type Reply, registriesOf } from '../../support/resolver.ts'
import { down, has, missing, never, resolverScene } from '../../support/resolver-scene.ts'

test('the operator’s secrets come from the keychain, for the host and repository that is asked', async () => {
  const asked: string[] = []
  const { resolver, source, state } = resolverScene(
    { m1: missing, 'docker.io': has(identity('a')) },
    {
      keychain: {
        credentials: async (host, repository, of) => {
          asked.push(`${host} ${repository} ${of?.name ?? 'nobody'}`)
          return { kind: 'registryToken', token: `for ${host}` }
        },
      },
    },
  )
  state.registries = registriesOf([entry('m1')])

  await resolver.resolve(nginx())

  assert.deepEqual(asked, ['m1 library/nginx m1', 'docker.io library/nginx nobody'])
  assert.deepEqual(
    source.requests.map(({ credentials }) => credentials),
    [
      { kind: 'registryToken', token: 'for m1' },
      { kind: 'registryToken', token: 'for docker.io' },
    ],
  )
})

test('the caller’s own credentials are shown at the origin instead of the operator’s', async () => {
  const pod: Credentials = { kind: 'basic', username: 'u', password: 'p' }
  const own: Credentials = { kind: 'basic', username: 'm1', password: 'own' }
  const { resolver, source, state } = resolverScene({ m1: missing, 'docker.io': missing })
  state.registries = registriesOf([entry('m1', { credentials: own })])

  await assert.rejects(resolver.resolve(nginx(), { credentials: pod }))

  assert.deepEqual(
    source.requests.map(({ credentials }) => credentials),
    [own, pod],
  )
})

test('what has to be loaded before the first question costs no registry its budget', async () => {
  const { resolver, source, clock } = resolverScene(
    { m1: has(identity('a')) },
    { ready: () => new Promise((resolve) => clockOf().after(5_000, () => resolve(undefined))) },
  )
  const clockOf = () => clock

  const resolving = resolver.resolve(nginx())
  await clock.advance(5_000)
  const { attempts } = await resolving

  assert.deepEqual(source.asked, ['GET m1/library/nginx latest'])
  assert.equal(attempts[0]?.ms, 0)
})

/** A keychain whose helper takes that long, for one registry. */
function slowHelper(clock: () => FakeClock, slow: string, ms: number) {
  return {
    credentials: (host: string) =>
      new Promise<undefined>((resolve) => {
        clock().after(host === slow ? ms : 0, () => resolve(undefined))
      }),
  }
}

test('the time of a credential helper is not the registry’s', async () => {
  const { resolver, clock, health, source, state } = resolverScene(
    { m1: has(identity('a')) },
    { keychain: slowHelper(() => clockOf(), 'm1', 5_000) },
  )
  const clockOf = () => clock
  state.registries = { ...registriesOf([entry('m1')]), mirrorsOnly: () => '*' }

  const resolving = resolver.resolve(nginx())
  await clock.advance(5_000)
  const { attempts } = await resolving

  assert.deepEqual(source.asked, ['GET m1/library/nginx latest'])
  assert.equal(attempts[0]?.ms, 0)
  assert.deepEqual(health.told, ['m1 ok'])
})

test('the next registry is asked while a helper takes its time, and nothing is said against the first', async () => {
  const { resolver, clock, health, state } = resolverScene(
    { m1: has(identity('a')), m2: has(identity('a')) },
    { keychain: slowHelper(() => clockOf(), 'm1', 60_000) },
  )
  const clockOf = () => clock
  state.registries = registriesOf([entry('m1'), entry('m2')])

  const resolving = resolver.resolve(nginx())
  await clock.advance(400)
  const { registry, attempts } = await resolving

  assert.equal(registry, 'm2')
  assert.deepEqual(health.told, ['m2 ok'])
  assert.equal(
    attempts.find((each) => each.registry === 'm1')?.message,
    'not asked: waited 0.3 s for credentials, then a better answer was there',
  )
})

test('a resolution that waits for a credential helper until time is up says so', async () => {
  const { resolver, clock, state } = resolverScene(
    { m1: has(identity('a')) },
    { keychain: slowHelper(() => clockOf(), 'm1', 60_000) },
  )
  const clockOf = () => clock
  state.registries = { ...registriesOf([entry('m1')]), mirrorsOnly: () => '*' }

  const resolving = assert.rejects(resolver.resolve(nginx()), {
    code: 'DEADLINE_EXCEEDED',
    message: 'docker.io/library/nginx:latest: out of time; m1: waited 20.0 s for credentials',
  })
  await clock.advance(20_000)
  await resolving
})

test('a registry without `resolve` is asked for the digest that another one named', async () => {
  const { resolver, source, state } = resolverScene({
    m1: has(identity('a')),
    m2: has(identity('a')),
  })
  state.registries = registriesOf([entry('m1', { capabilities: ['pull'] }), entry('m2')])

  const { registry, references } = await resolver.resolve(nginx())

  const { digest } = identity('a')
  assert.equal(registry, 'm2')
  assert.deepEqual(source.asked, ['GET m2/library/nginx latest', `HEAD m1/library/nginx ${digest}`])
  assert.deepEqual(
    references.filter(({ verified }) => verified).map(({ reference }) => reference),
    [`m1/library/nginx@${digest}`, `m2/library/nginx@${digest}`, 'm2/library/nginx:latest'],
  )
})

test('a registry without `resolve` that lacks the digest is not listed, a silent one is assumed', async () => {
  const { resolver, clock, state } = resolverScene({
    m1: missing,
    m2: never,
    m3: has(identity('a')),
  })
  state.registries = registriesOf([
    entry('m1', { capabilities: ['pull'] }),
    entry('m2', { capabilities: ['pull'] }),
    entry('m3'),
  ])

  const resolving = resolver.resolve(nginx())
  await clock.advance(2_000)
  const { references } = await resolving

  assert.deepEqual(
    references
      .filter(({ kind }) => kind === 'digest')
      .map(({ registry, verified }) => ({ registry, verified })),
    [
      { registry: 'm3', verified: true },
      { registry: 'm2', verified: false },
      { registry: 'docker.io', verified: false },
    ],
  )
})

test('a registry without `pull` may answer, and is no place to pull from', async () => {
  const { resolver, state } = resolverScene({ m1: has(identity('a')) })
  state.registries = registriesOf([entry('m1', { capabilities: ['resolve'] })])

  const { registry, references } = await resolver.resolve(nginx())

  assert.equal(registry, 'm1')
  assert.ok(references.every((reference) => reference.registry !== 'm1'))
})

test('where no registry may be asked the error names the fields of the configuration', async () => {
  const { resolver, state, source } = resolverScene({})
  const confined = { ...registriesOf([]), mirrorsOnly: () => 'docker.io/library' }
  state.registries = confined
  await assert.rejects(resolver.resolve(nginx()), {
    code: 'DENIED',
    message: /`mirrorsOnly` has docker\.io\/library.*no entry of `registries` serves it/,
  })

  state.registries = {
    ...confined,
    serving: () => [entry('m1', { capabilities: ['pull'] })],
    generation: 2,
  }
  await assert.rejects(resolver.resolve(nginx()), {
    code: 'DENIED',
    message: /`capabilities` of m1 lack `resolve`/,
  })
  assert.deepEqual(source.asked, [])
})

test('with verifyDigest a registry counts only when it also has what its tag points at', async () => {
  const { digest } = identity('a')
  const { resolver, source } = resolverScene(
    {
      m1: (request) =>
        request.reference === digest ? missing(request) : has(identity('a'))(request),
      m2: has(identity('a')),
    },
    { verifyDigest: () => true },
  )

  const { registry, references, attempts } = await resolver.resolve(nginx())

  assert.equal(registry, 'm2')
  assert.ok(references.every((reference) => reference.registry !== 'm1'))
  assert.deepEqual(source.asked, [
    'GET m1/library/nginx latest',
    `HEAD m1/library/nginx ${digest}`,
    'GET m2/library/nginx latest',
    `HEAD m2/library/nginx ${digest}`,
  ])
  assert.match(attempts[0]?.message ?? '', /still names sha256:\w+ by that tag/)
})

test('with verifyDigest a digest, and a tag that moved, cost no second HEAD', async () => {
  const { digest } = identity('a')
  const { resolver, source } = resolverScene(
    { m1: has(identity('a')) },
    { verifyDigest: () => true },
  )

  await resolver.resolve(nginx({ digest }))
  assert.equal(source.asked.length, 1)
  await resolver.resolve(nginx())
  source.replies['m1'] = has(identity('b'))
  const before = source.asked.length
  await resolver.resolve(nginx(), { refresh: true })

  assert.deepEqual(source.asked.slice(before), [
    'HEAD m1/library/nginx latest',
    `GET m1/library/nginx ${identity('b').digest}`,
  ])
})

test('all asks every registry, shows divergent digests, and merges nothing', async () => {
  const { resolver, source } = resolverScene({
    m1: has(identity('a')),
    m2: has(identity('b')),
    'docker.io': down,
  })

  await resolver.resolve(nginx())
  const {
    candidates,
    imageId,
    references,
    source: from,
  } = await resolver.resolve(nginx(), { all: true })

  assert.deepEqual(source.asked.slice(1), [
    'GET m1/library/nginx latest',
    'GET m2/library/nginx latest',
    'GET docker.io/library/nginx latest',
  ])
  assert.equal(imageId, identity('a').imageId)
  assert.equal(from, 'registry')
  assert.deepEqual(
    candidates?.map(({ registry, chosen, digest, divergent, outcome, error }) => ({
      registry,
      chosen,
      digest,
      divergent,
      outcome,
      code: error?.code,
    })),
    [
      {
        registry: 'm1',
        chosen: true,
        digest: identity('a').digest,
        divergent: undefined,
        outcome: 'ok',
        code: undefined,
      },
      {
        registry: 'm2',
        chosen: false,
        digest: identity('b').digest,
        divergent: true,
        outcome: 'ok',
        code: undefined,
      },
      {
        registry: 'docker.io',
        chosen: false,
        digest: undefined,
        divergent: undefined,
        outcome: 'unreachable',
        code: 'UNAVAILABLE',
      },
    ],
  )
  assert.ok(references.every(({ registry }) => registry !== 'm2'))
})

test('all waits for no registry longer than a probe budget', async () => {
  const { resolver, clock } = resolverScene({
    m1: never,
    m2: has(identity('a')),
    'docker.io': never,
  })

  const resolving = resolver.resolve(nginx(), { all: true })
  await clock.advance(2_000)
  const { registry, attempts } = await resolving

  assert.equal(registry, 'm2')
  assert.deepEqual(
    attempts.map(({ outcome }) => outcome),
    ['timeout', 'ok', 'timeout'],
  )
  assert.equal(clock.pendingTimers, 0)
})

test('all without an answer names every registry', async () => {
  const { resolver } = resolverScene({ m1: missing, m2: down, 'docker.io': missing })

  await assert.rejects(resolver.resolve(nginx(), { all: true }), (error: unknown) => {
    assert.ok(error instanceof UnresolvedError)
    assert.equal(error.code, 'UNAVAILABLE')
    assert.deepEqual(
      error.candidates.map(({ registry, outcome }) => `${registry} ${outcome}`),
      ['m1 not_found', 'm2 unreachable', 'docker.io not_found'],
    )
    return true
  })
})

test('the reports of a resolution come with its answer, also from the cache', async () => {
  const { resolver } = resolverScene({ m1: missing, m2: has(identity('a')) })

  await resolver.resolve(nginx())
  const { candidates, source } = await resolver.resolve(nginx())

  assert.equal(source, 'cache')
  assert.deepEqual(
    candidates?.map(({ reference, why }) => `${reference} ${why}`),
    [
      'm1/library/nginx:latest passed over: it does not have it',
      'm2/library/nginx:latest chosen: the best one that answered',
      'docker.io/library/nginx:latest not needed: m2 answered first',
    ],
  )
  assert.deepEqual(candidates?.[1]?.exchanges, [
    { method: 'GET', url: 'https://m2/v2/library/nginx/manifests/latest', ms: 1 },
  ])
})

test('latencies and rate limits reach the health of registries', async () => {
  const told: unknown[] = []
  const { resolver, source, clock } = resolverScene(
    {},
    {
      health: {
        admit: () => true,
        onTrial: () => false,
        isResting: () => false,
        isSilent: () => false,
        parkedMs: () => 0,
        success: (registry, details) => told.push([registry, details]),
        failure: (registry, details) => told.push([registry, details]),
        remaining: (registry, limit) => told.push([registry, limit]),
      },
    },
  )
  source.replies['m1'] = down
  source.replies['m2'] = ({ observe }) => {
    observe?.({ method: 'GET', url: 'https://m2/', ms: 1, remaining: 7 }, { remaining: 7 })
    return new Promise((resolve) => clock.after(50, () => resolve(identity('a'))))
  }

  const resolving = resolver.resolve(nginx())
  await clock.advance(50)
  await resolving

  assert.deepEqual(told, [
    ['m1', { code: 'UNAVAILABLE', message: 'connect ECONNREFUSED' }],
    ['m2', { remaining: 7 }],
    ['m2', { ms: 50, repository: 'library/nginx' }],
  ])
})

const busy: Reply = async () => {
  throw new ResolveError('TOOMANYREQUESTS', 'slow down', { status: 429, retryAfterMs: 1_000 })
}

const CHART = { digest: identity('chart').digest, mediaType: 'application/x', size: 3 }

const artifact: Reply = async () => {
  throw new ResolveError('NOT_AN_IMAGE', 'is an artifact', { status: 200, found: CHART })
}

/** What m1, m2 and the origin say, the code of the whole, and where the artifact was found. */
const ARTIFACTS: readonly [m1: Reply, m2: Reply, origin: Reply, code: string, at: string][] = [
  [missing, artifact, missing, 'NOT_AN_IMAGE', 'm2'],
  [missing, artifact, down, 'NOT_AN_IMAGE', 'm2'],
  [artifact, busy, missing, 'NOT_AN_IMAGE', 'm1'],
  [artifact, never, missing, 'NOT_AN_IMAGE', 'm1'],
  [down, artifact, missing, 'UNAVAILABLE', 'm2'],
  [never, artifact, missing, 'DEADLINE_EXCEEDED', 'm2'],
]

test('an artifact is the answer, unless a better registry did not say what it has', async () => {
  for (const [index, [m1, m2, origin, code, registry]] of ARTIFACTS.entries()) {
    const { clock, resolver } = resolverScene({ m1, m2, 'docker.io': origin })
    const resolving = assert.rejects(
      resolver.resolve(nginx()),
      ({ code: told, found: what, retryAfterMs }: ResolveError) => {
        assert.deepEqual(
          { told, what, retryAfterMs },
          { told: code, what: { ...CHART, registry }, retryAfterMs: undefined },
        )
        return true
      },
      `row ${index}`,
    )
    await clock.advance(20_000)
    await resolving
  }
})

test('what a digest names is no image at any other registry either', async () => {
  const { resolver } = resolverScene({ m1: down, m2: artifact, 'docker.io': down })

  await assert.rejects(resolver.resolve(nginx({ digest: CHART.digest })), { code: 'NOT_AN_IMAGE' })
})
