import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Credentials, markIssued } from '../../../src/registry/credentials.ts'
import { EntrySigner } from '../../../src/shared-cache/entry.ts'
import {
  ALWAYS,
  answers,
  has,
  IMAGE,
  OTHER,
  startMember,
  startPair,
  told,
} from '../../support/fleet.ts'
import { requireRedis, startRedis } from '../../support/redis.ts'
import { FakeSource, nginx, type Reply } from '../../support/resolver.ts'
import { until } from '../../support/until.ts'

/** A registry that answers when the test says so. */
function slowSource() {
  let resolve = (_image: typeof IMAGE): void => {}
  const slow: Reply = () =>
    new Promise((done) => {
      resolve = done
    })
  return { answer: () => resolve(IMAGE), source: new FakeSource({ m1: slow }) }
}

test('a node that dies while it asks is replaced by one other, after a part of the budget', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const never = new FakeSource({ m1: () => new Promise(() => {}) })
  const source = new FakeSource({ m1: has() })
  const dead = await startMember(t, redis.url, never)
  const others = await Promise.all(
    Array.from({ length: 4 }, () => startMember(t, redis.url, source, { fields: ', budget: 1s' })),
  )
  const caller = new AbortController()
  const asked = dead.resolver.resolve(nginx(), { ...ALWAYS, signal: caller.signal }).catch(() => {})
  await until(async () => (await redis.command('keys', '*:claim:*')) !== '')
  // Its claim is not prolonged any more, as if its process were gone.
  const claim = await redis.command('keys', '*:claim:*')
  // Half of the budget of the others at the most, so that one of them has the time to ask.
  assert.ok(Number(await redis.command('pttl', claim)) <= 15_000)
  await redis.command('set', claim, 'of one that is gone', 'PX', '500')

  const answers = await Promise.all(others.map(({ resolver }) => resolver.resolve(nginx(), ALWAYS)))

  assert.ok(answers.every(({ digest }) => digest === IMAGE.digest))
  assert.deepEqual(source.asked, ['GET m1/library/nginx latest'])
  caller.abort()
  await asked
})

test('while a slow registry is asked the claim lives, and there is no second one', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const { answer, source } = slowSource()
  const limits = () => ({ hedgeDelayMs: 0, probeBudgetMs: 6_000, totalMs: 60_000 })
  const registries = { resolver: { limits } }
  const [a, b] = [
    await startMember(t, redis.url, source, registries),
    await startMember(t, redis.url, source, registries),
  ]
  // Silent for longer than the claim lasts without being prolonged.
  source.replies['docker.io'] = () => new Promise(() => {})
  const callers = new AbortController()
  const asked = { ...ALWAYS, signal: callers.signal }
  const first = a.resolver.resolve(nginx(), asked)
  await until(() => a.metrics.shared.claims.won === 1)

  const second = b.resolver.resolve(nginx(), asked)
  await until(() => b.metrics.shared.claims.given_up === 1)

  assert.equal(b.metrics.shared.claims.won, 0)
  assert.equal(a.metrics.shared.claims.lost, 0)
  answer()
  callers.abort()
  await Promise.allSettled([first, second])
})

test('a claim that another node has by now is left to it by the one that had it', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const { answer, source } = slowSource()
  const node = await startMember(t, redis.url, source)
  const callers = new AbortController()
  const asked = { ...ALWAYS, signal: callers.signal }
  const takenOver = async (tag: string) => {
    const pulled = node.resolver.resolve(nginx({ tag }), asked).catch(() => {})
    await until(() => source.asked.some((each) => each.endsWith(tag)))
    const [claim = ''] = (await redis.command('keys', '*:claim:*')).split('\n')
    await redis.command('set', claim, 'of another', 'PX', '60000')
    return { pulled, claim }
  }

  const first = await takenOver('answered')
  answer()
  await first.pulled
  await told(redis)
  assert.equal(await redis.command('get', first.claim), 'of another')

  await redis.command('del', first.claim)
  const second = await takenOver('left')
  callers.abort()
  await second.pulled
  await node.shared.close()
  assert.equal(await redis.command('get', second.claim), 'of another')
})

const POISON: readonly (readonly [string, (entry: string) => string])[] = [
  ['with another digest', (entry) => entry.replaceAll(IMAGE.digest, OTHER.digest)],
  [
    'with a time to come',
    (entry) => entry.replace(/^2 (\d+)/, (_, ms) => `2 ${Number(ms) + 60_000}`),
  ],
  ['with another time', (entry) => entry.replace(/^2 (\d+)/, (_, ms) => `2 ${Number(ms) - 500}`)],
  ['without a signature', (entry) => entry.replace(/^(2 \d+ \w+) \S+/, `$1 ${'A'.repeat(43)}`)],
  ['that is no entry', () => 'nonsense'],
  ['of another form', (entry) => entry.replace(/^2 /, '1 ')],
]

test('an entry that no node of the fleet made is never used', async (t) => {
  const fleet = await startPair(t, { fields: ', freshness: 1h, budget: 1s' })
  if (fleet === undefined) return
  const { a, b, redis } = fleet
  for (const [index, [what, poison]] of POISON.entries()) {
    const image = nginx({ tag: `t${index}` })
    const before = await answers(redis)
    await a.resolver.resolve(image, ALWAYS)
    await told(redis, before.length + 1)
    const name = (await answers(redis)).find((each) => !before.includes(each)) ?? ''
    await redis.command('set', name, poison(await redis.command('--raw', 'get', name)))

    const answer = await b.resolver.resolve(image, ALWAYS)

    assert.equal(answer.source, 'registry', what)
    assert.equal(answer.digest, IMAGE.digest, what)
    // What this node said is there now.
    await until(async () => (await a.resolver.resolve(image, ALWAYS)).source === 'shared')
  }
  assert.ok(b.metrics.shared.signatureFailures > 1)
  assert.equal(b.logged.filter((each) => each.includes('is not signed with our key')).length, 1)
})

test('an old entry that is brought back is as old as it is, and one moved to another name is none', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const fields = ', freshness: 50ms, budget: 1s'
  const node = await startMember(t, redis.url, source, { fields, tagTtlMs: 1 })
  await node.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  const [name = ''] = await answers(redis)
  const old = await redis.command('--raw', 'get', name)
  const since = Number(/^2 (\d+)/.exec(old)?.[1])
  source.replies['m1'] = has(OTHER)
  await until(
    async () => Number((await redis.command('time')).split('\n')[0]) * 1_000 > since + 2_000,
  )

  await redis.command('set', name, old)
  assert.equal((await node.resolver.resolve(nginx(), ALWAYS)).digest, OTHER.digest)

  await node.resolver.resolve(nginx({ tag: 'other' }), ALWAYS)
  await told(redis, 2)
  const other = (await answers(redis)).find((each) => each !== name) ?? ''
  const copied = await redis.command('--raw', 'get', name)
  await redis.command('set', other, copied)
  const failures = node.metrics.shared.signatureFailures
  await node.resolver.resolve(nginx({ tag: 'other' }), ALWAYS)
  assert.ok(node.metrics.shared.signatureFailures > failures)
})

test('a claim that no node made and a value of another type keep nothing from being shared', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const fields = ', freshness: 1h, budget: 1s'
  const node = await startMember(t, redis.url, source, { fields })
  const other = await startMember(t, redis.url, source, { fields })
  let claim = ''
  await node.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  const [entryName = ''] = await answers(redis)
  source.replies['m1'] = async () => {
    claim = await redis.command('keys', '*:claim:*')
    return IMAGE
  }
  await redis.command('del', entryName)
  await node.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  assert.notEqual(claim, '')
  await redis.command('del', entryName)
  await redis.command('lpush', entryName, 'x')
  await redis.command('set', claim, 'x')

  const asked = await node.resolver.resolve(nginx(), ALWAYS)
  await until(async () => (await redis.command('type', entryName)) === 'string')
  const shared = await other.resolver.resolve(nginx(), ALWAYS)

  assert.deepEqual([asked.source, shared.source], ['registry', 'shared'])
  assert.equal(node.metrics.shared.claims.given_up, 0)
})

test('a value of another type in the place of nodes or images does not have the store left alone', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const signer = new EntrySigner(Buffer.alloc(0))
  const lists = [signer.name('seen', 'nodes'), signer.name('nodes', 'nodes')]
  for (const name of lists) await redis.command('set', name, 'x')
  const source = new FakeSource({ m1: has() })
  const node = await startMember(t, redis.url, source, { fields: ', budget: 1s' })
  await until(async () => (await redis.command('type', lists[1] ?? '')) === 'hash')
  assert.equal(await redis.command('type', lists[0] ?? ''), 'zset')

  await node.resolver.resolve(nginx(), ALWAYS)
  await told(redis)
  const image = signer.name('image', IMAGE.digest, 'linux/amd64')
  await until(async () => (await redis.command('exists', image)) === '1')
  await redis.command('del', image, ...(await answers(redis)))
  await redis.command('lpush', image, 'x')
  const other = await startMember(t, redis.url, source, { fields: ', budget: 1s' })
  await other.resolver.resolve(nginx({ tag: undefined, digest: IMAGE.digest }), ALWAYS)

  await told(redis)
  for (const { logged } of [node, other]) assert.deepEqual(logged, ['the shared store is used'])
})

const PASSWORD = { kind: 'basic', username: 'robot', password: 'a' } as const
const SECRET = 'a long and secret password'

const ACCOUNTS: readonly (readonly [string, Credentials | undefined, Credentials, boolean])[] = [
  ['one has an account and the other none', undefined, PASSWORD, false],
  ['the same account', PASSWORD, { ...PASSWORD }, true],
  ['two accounts of one name', PASSWORD, { ...PASSWORD, password: 'b' }, false],
  ['an account and what a program issued in its name', PASSWORD, issued(SECRET), false],
  ['what a program issued to each of them', issued('for one node'), issued(SECRET), true],
]

function issued(password: string): Credentials {
  return markIssued({ ...PASSWORD, password })
}

test('nodes share an answer where they have the same account at the registry', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const fields = ', freshness: 1h, budget: 1s'
  const member = (credentials: Credentials | undefined) => {
    const keychain = { credentials: async () => credentials }
    return startMember(t, redis.url, source, { fields, resolver: { keychain } })
  }
  for (const [what, one, other, isShared] of ACCOUNTS) {
    await redis.command('flushall')
    const [a, b] = [await member(one), await member(other)]
    await a.resolver.resolve(nginx(), ALWAYS)
    await told(redis)

    const { source: from } = await b.resolver.resolve(nginx(), ALWAYS)

    assert.equal(from, isShared ? 'shared' : 'registry', what)
  }
  const keys = (await redis.command('keys', '*')).split('\n')
  const values = await redis.command('mget', ...keys)
  assert.ok(!`${keys} ${values}`.includes(SECRET))
})
