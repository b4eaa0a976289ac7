import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../src/concurrency/clock.ts'
import { ResolveError } from '../../../src/errors.ts'
import { formatReference } from '../../../src/reference/reference.ts'
import { AvailabilityCheck } from '../../../src/resolver/availability.ts'
import { ImageChecks } from '../../../src/service/image-checks.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { type FleetMember, startMember } from '../../support/fleet.ts'
import { requireRedis, startRedis } from '../../support/redis.ts'
import { candidate, digestOf, FakeSource } from '../../support/resolver.ts'
import { until } from '../../support/until.ts'

const HOUR = 3_600_000
const NAMES = Array.from({ length: 20 }, (_, index) => `docker.io/library/app-${index}:1`)

type Head = (registry: string, path: string) => Promise<string>

/** A node that checks images at two registries, and shares what it is told. */
function checksOf(
  member: FleetMember,
  head: Head,
  { names = NAMES, clock = new FakeClock(), username = 'robot' } = {},
) {
  const asked: string[] = []
  const credentials = { kind: 'basic', username, password: 'secret' } as const
  const checks = new ImageChecks({
    intervalMs: HOUR,
    named: async () => names.map((name) => ({ names: [name], repoDigests: [] })),
    open: (signal) => {
      const check = new AvailabilityCheck({
        head: async ({ registry, repository }) => {
          asked.push(`${registry}/${repository}`)
          return head(registry, repository)
        },
        platforms: async () => [],
        clock: systemClock,
        maxPauseMs: 1_000,
        signal,
      })
      return async (reference) => {
        const candidates = ['m1', 'm2'].map((name) => ({
          ...candidate(name),
          repository: reference.path,
          pullName: `${name}/${reference.path}`,
        }))
        const question = {
          reference: formatReference(reference),
          candidates,
          credentials: [credentials, credentials],
          maxAgeMs: 0.9 * HOUR,
          signal,
        }
        return member.shared.cache.check(question, (known) =>
          check.places(reference, candidates, { known }),
        )
      }
    },
    clock,
    random: () => 0,
    logger: { info: () => {}, warn: () => {} },
  })
  const run = async (): Promise<void> => {
    checks.start()
    await clock.advance(0)
    await until(() => checks.report().checkedAt !== null)
  }
  return { asked, checks, clock, run }
}

const there: Head = async (_registry, path) => digestOf(path)

test('two services that check the same images ask for each once, and both know all', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({})
  const [one, two] = await Promise.all([1, 2].map(() => startMember(t, redis.url, source)))
  const head: Head = async (registry, path) => {
    await new Promise(setImmediate)
    if (registry === 'm2') throw new ResolveError('MANIFEST_UNKNOWN', 'none', { status: 404 })
    return digestOf(path)
  }
  const nodes = [one, two].map((member) => checksOf(member as FleetMember, head))

  await Promise.all(nodes.map(({ run }) => run()))

  const asked = nodes.flatMap((node) => node.asked)
  assert.equal(asked.length, 2 * NAMES.length)
  assert.equal(new Set(asked).size, asked.length)
  const [first, second] = nodes.map(({ checks }) => {
    assert.equal(checks.counts()?.partly, NAMES.length)
    return checks.report().images.map(({ reference, state }) => [reference, state])
  })
  assert.deepEqual(first, second)
  const told = nodes.flatMap(({ checks }) => checks.report().images).flatMap(({ places }) => places)
  assert.equal(told.filter(({ askedAt }) => askedAt !== undefined).length, 2 * NAMES.length)
})

test('a service that comes later takes what was told, and asks for none', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({})
  const member = () => startMember(t, redis.url, source)
  const [a, b] = [checksOf(await member(), there), checksOf(await member(), there)]

  await a.run()
  await b.run()

  assert.deepEqual([a.asked.length, b.asked.length], [2 * NAMES.length, 0])
  assert.ok(
    b.checks.report().images.every(({ state }) => state === a.checks.report().images[0]?.state),
  )
})

test('nodes with other credentials do not believe each other', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({})
  const [a, b] = [
    checksOf(await startMember(t, redis.url, source), there),
    checksOf(await startMember(t, redis.url, source), there, { username: 'other' }),
  ]
  await a.run()
  await b.run()
  assert.equal(b.asked.length, a.asked.length)
})

test('a refusal and silence are of one node: the others ask those places themselves, and no more', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({})
  const names = NAMES.slice(0, 3)
  const broken: Head = async (registry, path) => {
    if (registry === 'm1') return digestOf(path)
    throw new ResolveError(path.endsWith('0') ? 'DENIED' : 'UNAVAILABLE', 'no', { status: 403 })
  }
  const a = checksOf(await startMember(t, redis.url, source), broken, { names })
  const b = checksOf(await startMember(t, redis.url, source), there, { names })

  await a.run()
  await b.run()

  assert.deepEqual(
    b.asked.sort(),
    names.map((_, index) => `m2/library/app-${index}`),
  )
  assert.ok(b.checks.report().images.every(({ state }) => state !== 'unknown'))
})

test('a node that ends gives its claims back, and one without a store asks itself', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({})
  const [one, two] = (await Promise.all([1, 2].map(() => startMember(t, redis.url, source)))) as [
    FleetMember,
    FleetMember,
  ]
  const names = NAMES.slice(0, 1)
  let end = (_digest: string): void => {}
  const held = new Promise<string>((resolve) => (end = resolve))
  const a = checksOf(one, () => held, { names })
  const b = checksOf(two, there, { names })
  a.checks.start()
  await a.clock.advance(0)
  await until(() => a.asked.length === 2)
  b.checks.start()
  await b.clock.advance(0)
  await until(() => two.metrics.shared.claims.waited === 1)
  assert.equal(b.asked.length, 0)

  a.checks.close()
  await one.shared.close()
  await until(() => b.checks.report().checkedAt !== null)
  assert.equal(b.asked.length, 2)
  end(digestOf('late'))
  await settle()

  await redis.kill()
  const c = checksOf(two, there, { names })
  await c.run()
  assert.equal(c.asked.length, 2)
})

test('what stands in the store and is no such entry is passed over', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({})
  const names = NAMES.slice(0, 1)
  const a = checksOf(await startMember(t, redis.url, source), there, { names })
  await a.run()
  const keys = (await redis.command('keys', '*:answer:*')).split('\n')
  assert.equal(keys.length, 1)
  const [key = ''] = keys
  const [version, since, epoch] = (await redis.command('get', key)).split(' ')
  await redis.command('set', key, `${version} ${since} ${epoch} ${'A'.repeat(43)} {"told":[]}`)

  const member = await startMember(t, redis.url, source)
  const b = checksOf(member, there, { names })
  await b.run()

  assert.equal(b.asked.length, 2)
  assert.equal(member.metrics.shared.signatureFailures, 1)
  const places = b.checks.report().images[0]?.places ?? []
  assert.ok(places.every(({ state }) => state === 'present'))
})
