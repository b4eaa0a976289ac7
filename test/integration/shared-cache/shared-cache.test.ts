import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { readFleet } from '../../../src/service/open.ts'
import {
  ALWAYS,
  answers,
  type FleetMember,
  has,
  IMAGE,
  OTHER,
  startMember,
  startPair,
  told,
} from '../../support/fleet.ts'
import { type Redis, requireRedis, startRedis } from '../../support/redis.ts'
import { FakeSource, nginx, type Reply } from '../../support/resolver.ts'
import { temporaryFolder } from '../../support/stack.ts'
import { until } from '../../support/until.ts'

const missing: Reply = async () => {
  throw new ResolveError('MANIFEST_UNKNOWN', 'not found', { status: 404, step: 'manifest' })
}

async function members(
  t: Parameters<typeof startMember>[0],
  count: number,
  redis: Redis,
  source: FakeSource,
  options: Parameters<typeof startMember>[3] = {},
): Promise<readonly FleetMember[]> {
  return Promise.all(
    Array.from({ length: count }, () => startMember(t, redis.url, source, options)),
  )
}

test('500 callers on five nodes cost one request to the registry', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const nodes = await members(t, 5, redis, source, { fields: ', budget: 1s' })

  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, index) =>
      (nodes[index % 5] as FleetMember).resolver.resolve(nginx(), index % 2 === 0 ? ALWAYS : {}),
    ),
  )

  assert.deepEqual(new Set(answers.map(({ imageId }) => imageId)), new Set([IMAGE.imageId]))
  assert.deepEqual(source.asked, ['GET m1/library/nginx latest'])
  assert.equal(
    nodes.reduce((sum, { metrics }) => sum + metrics.shared.claims.won, 0),
    1,
  )
})

test('a pull takes what another node was told, and says so and how old it is', async (t) => {
  const fleet = await startPair(t)
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  const first = await a.resolver.resolve(nginx(), ALWAYS)
  await told(redis)

  const second = await b.resolver.resolve(nginx(), ALWAYS)

  assert.equal(first.source, 'registry')
  assert.equal(second.source, 'shared')
  assert.ok((second.ageMs ?? -1) >= 0)
  assert.deepEqual(second.references, first.references)
  assert.equal((await b.resolver.resolve(nginx())).source, 'cache')
  assert.equal(source.asked.length, 1)
})

test('a lookup that another node has answered is one command', async (t) => {
  const fleet = await startPair(t)
  if (fleet === undefined) return
  const { a, b, redis } = fleet
  await a.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  await b.resolver.resolve(nginx(), ALWAYS)
  const scripts = async (): Promise<number> => {
    const text = await redis.command('info', 'commandstats')
    const calls = [...text.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)]
    return calls.reduce((sum, [, count]) => sum + Number(count), 0)
  }

  // Now and then there are some more: each node tells the store that it is there.
  await until(async () => {
    const before = await scripts()
    for (let index = 0; index < 10; index += 1) await b.resolver.resolve(nginx(), ALWAYS)
    return (await scripts()) === before + 10
  })
})

test('refresh passes the store, and what it brings is told to the others', async (t) => {
  const fleet = await startPair(t)
  if (fleet === undefined) return
  const { a, b, source } = fleet
  await a.resolver.resolve(nginx(), ALWAYS)
  await b.resolver.resolve(nginx(), ALWAYS)
  source.replies['m1'] = has(OTHER)

  const refreshed = await b.resolver.resolve(nginx(), { refresh: true })

  assert.equal(refreshed.source, 'registry')
  assert.equal(refreshed.digest, OTHER.digest)
  await until(async () => (await a.resolver.resolve(nginx(), ALWAYS)).digest === OTHER.digest)
})

test('with a freshness of 0 a pull takes no answer of another node, and waits for none', async (t) => {
  let answer = (): void => {}
  const asked = new Promise<void>((resolve) => {
    answer = resolve
  })
  const source = new FakeSource({ m1: () => asked.then(() => IMAGE) })
  const fleet = await startPair(t, { fields: ', freshness: 0, budget: 1s' }, source)
  if (fleet === undefined) return
  const { a, b } = fleet
  const first = a.resolver.resolve(nginx(), ALWAYS)
  await until(() => source.asked.length === 1)

  const second = b.resolver.resolve(nginx(), ALWAYS)

  // While the first one is asked still.
  await until(() => source.asked.length === 2)
  answer()
  for (const each of [first, second]) assert.equal((await each).source, 'registry')
  assert.equal(b.metrics.shared.claims.waited, 0)
  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).source, 'registry')
})

test('an older answer is confirmed with one HEAD, also by a node that never asked', async (t) => {
  const fleet = await startPair(t, { fields: ', freshness: 1ms', tagTtlMs: 1 })
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  await a.resolver.resolve(nginx(), ALWAYS)
  await told(redis)

  const answer = await b.resolver.resolve(nginx(), ALWAYS)

  assert.equal(answer.source, 'registry')
  assert.deepEqual(source.asked.slice(1), ['HEAD m1/library/nginx latest'])
})

test('which image a digest is, another node knows already', async (t) => {
  const fleet = await startPair(t)
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  await a.resolver.resolve(nginx(), ALWAYS)
  await until(async () => (await redis.command('keys', '*:image:*')) !== '')

  await b.resolver.resolve(nginx({ tag: undefined, digest: IMAGE.digest }), ALWAYS)

  assert.deepEqual(source.asked.slice(1), [`HEAD m1/library/nginx ${IMAGE.digest}`])
})

test('that no registry has it is believed for all', async (t) => {
  const fleet = await startPair(t, {}, new FakeSource({ m1: missing, 'docker.io': missing }))
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  await assert.rejects(a.resolver.resolve(nginx(), ALWAYS), { code: 'MANIFEST_UNKNOWN' })
  await told(redis)
  const asked = source.asked.length

  await assert.rejects(b.resolver.resolve(nginx(), ALWAYS), (error: ResolveError) => {
    assert.equal(error.code, 'MANIFEST_UNKNOWN')
    assert.deepEqual(
      error.attempts.map(({ outcome }) => outcome),
      ['not_found', 'not_found'],
    )
    return true
  })

  assert.equal(source.asked.length, asked)
})

test('a node without an answer does not keep the others waiting', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const denied: Reply = async () => {
    throw new ResolveError('DENIED', 'no', { status: 403, step: 'manifest' })
  }
  const source = new FakeSource({ m1: denied, 'docker.io': denied })
  const nodes = await members(t, 3, redis, source)

  const results = await Promise.allSettled(
    nodes.map(({ resolver }) => resolver.resolve(nginx(), ALWAYS)),
  )

  assert.ok(results.every(({ status }) => status === 'rejected'))
  assert.equal(
    nodes.reduce((sum, { metrics }) => sum + metrics.shared.claims.given_up, 0) < 3,
    true,
  )
})

test('one node that is told to wait parks the registry for all', async (t) => {
  const busy: Reply = async () => {
    throw new ResolveError('TOOMANYREQUESTS', 'slow down', {
      status: 429,
      step: 'manifest',
      retryAfterMs: 600_000,
    })
  }
  const fleet = await startPair(t, {}, new FakeSource({ m1: busy, 'docker.io': has() }))
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  await a.resolver.resolve(nginx(), ALWAYS)
  await until(() => redis.command('keys', '*:parked').then((keys) => keys !== ''))
  const asked = source.asked.length

  await b.resolver.resolve(nginx({ tag: 'other' }), ALWAYS)

  assert.deepEqual(source.asked.slice(asked), ['GET docker.io/library/nginx other'])
  assert.ok(b.health.parkedMs('m1') > 500_000)
})

test('a registry that one node cannot reach is asked by the others still', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const broken: Reply = async () => {
    throw new ResolveError('UNAVAILABLE', 'no route', { step: 'connect' })
  }
  const cut = new FakeSource({ m1: broken, 'docker.io': has() })
  const whole = new FakeSource({ m1: has(), 'docker.io': has() })
  const [a] = (await members(t, 1, redis, cut)) as [FleetMember]
  const [b] = (await members(t, 1, redis, whole)) as [FleetMember]
  for (let index = 0; index < 10; index += 1) {
    await a.resolver.resolve(nginx({ tag: `t${index}` }), ALWAYS)
  }
  assert.ok(a.health.isResting('m1'), 'its breaker is open')

  await b.resolver.resolve(nginx({ tag: 'other' }), ALWAYS)

  assert.deepEqual(whole.asked, ['GET m1/library/nginx other'])
})

test('nothing is shared of what a caller brings credentials for, nor of what is for this process alone', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const [a] = (await members(t, 1, redis, source)) as [FleetMember]
  await until(() => redis.command('dbsize').then((size) => Number(size) === 2))
  const credentials = { kind: 'basic', username: 'u', password: 'p' } as const

  await a.resolver.resolve(nginx(), { ...ALWAYS, credentials })
  await a.resolver.resolve(nginx(), { ...ALWAYS, unauthenticated: true })
  await a.resolver.resolve(nginx(), { all: true })

  // The two of the nodes.
  assert.equal(await redis.command('dbsize'), '2')
  assert.equal(source.asked.length, 4)
})

test('nodes whose configuration differs in what matters do not share', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const [a] = (await members(t, 1, redis, source)) as [FleetMember]
  const [b] = (await members(t, 1, redis, source, { scope: 'other secrets' })) as [FleetMember]
  await a.resolver.resolve(nginx(), ALWAYS)
  await told(redis)

  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).source, 'registry')
})

const CHANGED = [{ repository: 'library/nginx', tag: 'latest' }] as const

test('a tag that changed is asked for at once, by every node', async (t) => {
  const fleet = await startPair(t, { fields: ', freshness: 1h, budget: 1s' })
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  await a.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).source, 'shared')
  source.replies['m1'] = has(OTHER)

  assert.equal(await a.shared.expire(CHANGED), true)
  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).digest, OTHER.digest)

  source.replies['m1'] = has()
  assert.equal(await a.shared.expire([{ ...CHANGED[0], tag: undefined }]), true)
  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).digest, IMAGE.digest)
  await told(redis)
  await a.shared.expire([{ ...CHANGED[0], tag: 'other' }])
  await until(async () => (await a.resolver.resolve(nginx(), ALWAYS)).source === 'shared')
})

test('what a node asks while its tag changes is for its own caller alone', async (t) => {
  let answer = (): void => {}
  const slow: Reply = () =>
    new Promise((resolve) => {
      answer = () => resolve(IMAGE)
    })
  const fleet = await startPair(
    t,
    { fields: ', freshness: 1h, budget: 1s' },
    new FakeSource({ m1: slow, 'docker.io': () => new Promise(() => {}) }),
  )
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  // Nothing was ever asked for in that repository.
  const first = a.resolver.resolve(nginx(), ALWAYS)
  await until(() => source.asked.length > 0)

  assert.equal(await b.shared.expire(CHANGED), true)
  source.replies['m1'] = has(OTHER)
  answer()
  assert.equal((await first).digest, IMAGE.digest)
  await told(redis)

  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).digest, OTHER.digest)
})

test('of 1,100 tags of one repository none misses that it changed', async (t) => {
  const fleet = await startPair(t, { fields: ', freshness: 1h, budget: 1s' })
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  const tags = Array.from({ length: 1_100 }, (_, index) => `t${index}`)
  for (let from = 0; from < tags.length; from += 50) {
    const some = tags.slice(from, from + 50)
    await Promise.all(some.map((tag) => a.resolver.resolve(nginx({ tag }), ALWAYS)))
  }
  await told(redis, tags.length)
  source.replies['m1'] = has(OTHER)

  await a.shared.expire([{ repository: 'library/nginx', tag: undefined }])

  for (const tag of ['t0', 't500', 't1050', 't1099']) {
    assert.equal((await b.resolver.resolve(nginx({ tag }), ALWAYS)).digest, OTHER.digest, tag)
  }
})

test('a store that stalls while a tag changes is told when it goes on', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const fields = ', freshness: 1h'
  const a = await startMember(t, redis.url, source, { fields: `${fields}, budget: 50ms` })
  const b = await startMember(t, redis.url, source, { fields })
  // A busy machine may take longer than the budget of the other one.
  await b.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  source.replies['m1'] = has(OTHER)
  process.kill(redis.program.pid, 'SIGSTOP')
  // The store is left alone by now, which is for lookups.
  await a.resolver.resolve(nginx({ tag: 'other' }), ALWAYS)

  const isTold = a.shared.expire(CHANGED)
  await new Promise((resolve) => setTimeout(resolve, 300))
  process.kill(redis.program.pid, 'SIGCONT')

  assert.equal(await isTold, true)
  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).digest, OTHER.digest)
})

test('a store that is not there has the registry send its notification again, and is told when it is back', async (t) => {
  const fleet = await startPair(t, { fields: ', freshness: 1h, budget: 1s' })
  if (fleet === undefined) return
  const { a, b, redis, source } = fleet
  await a.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  // It comes back as it was, as a replica does that lacks what its primary was told last.
  await redis.command('save')
  assert.equal(await a.shared.expire(CHANGED), true)
  await redis.kill()
  source.replies['m1'] = has(OTHER)

  assert.equal(await a.shared.expire([{ repository: 'library/nginx', tag: 'late' }]), false)
  await redis.restart()
  assert.equal((await answers(redis)).length, 1)
  // Of the repository, and of the tag until the store is told once more.
  await until(async () => (await redis.command('keys', '*:mark:*')).split('\n').length === 1)
  const ask = () => b.resolver.resolve(nginx(), ALWAYS)
  await until(async () => (await ask()).source === 'shared')
  assert.equal((await ask()).digest, OTHER.digest)
})

test('a store that was never there is as none', async (t) => {
  const source = new FakeSource({ m1: has() })
  const node = await startMember(t, `unix://${temporaryFolder(t)}/none.sock`, source, {
    fields: ', budget: 1s',
    readyMs: 1,
  })

  assert.equal((await node.resolver.resolve(nginx(), ALWAYS)).source, 'registry')
  assert.equal(node.metrics.shared.lookups.left_alone, 1)
})

test('claims are given back at the end', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: () => new Promise(() => {}) })
  const [a] = (await members(t, 1, redis, source)) as [FleetMember]
  const caller = new AbortController()
  const asked = a.resolver.resolve(nginx(), { ...ALWAYS, signal: caller.signal }).catch(() => {})
  await until(() => redis.command('keys', '*:claim:*').then((keys) => keys !== ''))

  await a.shared.close()

  assert.equal(await redis.command('keys', '*:claim:*'), '')
  caller.abort()
  await asked
})

test("a claim that the store has lost is counted, and the answer is the own caller's", async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  let answer = (): void => {}
  const held: Reply = (...asked) =>
    new Promise((resolve) => {
      answer = () => resolve(has()(...asked))
    })
  const source = new FakeSource({ m1: held })
  const [a] = (await members(t, 1, redis, source)) as [FleetMember]
  const asked = a.resolver.resolve(nginx(), ALWAYS)
  await until(() => redis.command('keys', '*:claim:*').then((keys) => keys !== ''))

  await redis.command('flushall')
  await until(() => a.metrics.shared.claims.lost === 1)
  answer()

  assert.equal((await asked).imageId, IMAGE.imageId)
})

test('nodes tell of themselves, and a command reads it', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const file = join(temporaryFolder(t), 'config.yaml')
  writeFileSync(file, `cache: {shared: {url: "${redis.url}"}}\n`)
  const [leaving] = await members(t, 2, redis, new FakeSource({}))

  await until(async () => (await readFleet({ file })).length === 2)
  // As in a roll-out, after which none of the former nodes is to be seen.
  await leaving?.shared.close()

  const [node, ...more] = await readFleet({ file })
  assert.deepEqual(more, [])
  assert.equal(await redis.command('hlen', await redis.command('keys', '*:nodes')), '1')
  assert.equal(node?.node, hostname())
  assert.equal(node.version, '1.2.3')
  assert.ok(node.ageMs >= 0)
})

test('without a store that answers there is no fleet to be shown', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'config.yaml')
  writeFileSync(file, 'debug: true\n')
  await assert.rejects(readFleet({ file }), {
    code: 'CONFIG_INVALID',
    message: /cache\.shared is not configured/,
  })
  writeFileSync(file, `cache: {shared: {url: "rediss://h", key: "file:${folder}/none"}}\n`)
  await assert.rejects(readFleet({ file }), { code: 'UNAVAILABLE', message: /none/ })
})
