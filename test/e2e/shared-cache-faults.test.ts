import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type FleetMember, startMember, until } from '../support/fleet.ts'
import { type Redis, requireRedis, startRedis } from '../support/redis.ts'
import { FakeSource, identity, nginx, type Reply } from '../support/resolver.ts'
import { temporaryFolder } from '../support/stack.ts'

const ALWAYS = { refresh: true, shared: true, urgent: true } as const
const IMAGE = identity('one')
const OTHER = identity('two')

const has =
  (image = IMAGE): Reply =>
  async () =>
    image

async function entriesOf(redis: Redis): Promise<string> {
  return redis.command('keys', '*:answer:*')
}

test('a store that stops answering fails no pull, is left alone, and is used again', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const node = await startMember(t, redis.url, source, { fields: ', budget: 200ms' })
  await node.resolver.resolve(nginx(), ALWAYS)
  process.kill(redis.program.pid, 'SIGSTOP')

  const during = await Promise.all(
    ['a', 'b', 'c', 'd'].map((tag) => node.resolver.resolve(nginx({ tag }), ALWAYS)),
  )
  const { leftAlone } = node.metrics.shared
  const after = await node.resolver.resolve(nginx({ tag: 'e' }), ALWAYS)

  assert.deepEqual(
    new Set([...during, after].map((answer) => answer.source)),
    new Set(['registry']),
  )
  assert.ok(node.metrics.shared.leftAlone > leftAlone)
  assert.equal(node.logged.filter((line) => line === 'the shared store is left alone').length, 1)
  process.kill(redis.program.pid, 'SIGCONT')
  await until(async () => (await node.resolver.resolve(nginx(), ALWAYS)).source === 'shared')
})

test('a store that is killed amid a storm fails no pull, and is used again when it is back', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const nodes = [
    await startMember(t, redis.url, source),
    await startMember(t, redis.url, source),
  ] as const
  const storm = Array.from({ length: 200 }, (_, index) =>
    (nodes[index % 2] as FleetMember).resolver.resolve(nginx({ tag: `t${index % 50}` }), ALWAYS),
  )

  await redis.kill()
  const answers = await Promise.all(storm)

  assert.ok(answers.every(({ digest }) => digest === IMAGE.digest))
  assert.equal((await nodes[0].resolver.resolve(nginx(), ALWAYS)).source, 'registry')
  await redis.restart()
  await until(async () => (await nodes[1].resolver.resolve(nginx(), ALWAYS)).source === 'shared')
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

for (const policy of ['noeviction', 'allkeys-lru', 'volatile-ttl']) {
  test(`a store that is full (${policy}) fails no pull`, async (t) => {
    if (!requireRedis(t)) return
    const redis = await startRedis(t, ['--maxmemory-policy', policy])
    const source = new FakeSource({ m1: has() })
    const node = await startMember(t, redis.url, source)
    await node.resolver.resolve(nginx(), ALWAYS)
    await until(async () => (await entriesOf(redis)) !== '')
    await redis.command('config', 'set', 'maxmemory', '1')

    const answers = []
    for (const tag of ['a', 'b', 'c']) {
      answers.push(await node.resolver.resolve(nginx({ tag }), ALWAYS))
    }

    assert.ok(answers.every(({ digest }) => digest === IMAGE.digest))
    await redis.command('config', 'set', 'maxmemory', '0')
    await until(async () => (await node.resolver.resolve(nginx(), ALWAYS)).source === 'shared')
  })
}

test('a full store is read still', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t, ['--maxmemory-policy', 'noeviction'])
  const source = new FakeSource({ m1: has() })
  const fields = ', freshness: 1h'
  const [a, b] = [
    await startMember(t, redis.url, source, { fields }),
    await startMember(t, redis.url, source, { fields }),
  ]
  await a.resolver.resolve(nginx(), ALWAYS)
  await until(async () => (await entriesOf(redis)) !== '')
  await redis.command('config', 'set', 'maxmemory', '1')

  assert.equal((await b.resolver.resolve(nginx({ tag: 'other' }), ALWAYS)).source, 'registry')
  assert.equal((await b.resolver.resolve(nginx(), ALWAYS)).source, 'shared')
})

test('a wrong password fails no pull, and the right one is found in its file later', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t, ['--requirepass', 'right'])
  const passwordFile = join(temporaryFolder(t), 'password')
  writeFileSync(passwordFile, 'wrong\n')
  const source = new FakeSource({ m1: has() })
  const fields = `, passwordFile: ${passwordFile}`
  const node = await startMember(t, redis.url, source, { fields, readyMs: 1 })

  assert.equal((await node.resolver.resolve(nginx(), ALWAYS)).source, 'registry')
  await until(() => node.logged.includes('the shared store is left alone'))

  writeFileSync(passwordFile, 'right\n')
  await until(async () => (await node.resolver.resolve(nginx(), ALWAYS)).source === 'shared')
  assert.ok(node.logged.every((line) => !/right|wrong/.test(line)))
})

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
  let answer = (): void => {}
  const slow: Reply = () =>
    new Promise((resolve) => {
      answer = () => resolve(IMAGE)
    })
  const source = new FakeSource({ m1: slow })
  const limits = () => ({ hedgeDelayMs: 0, probeBudgetMs: 600, totalMs: 20_000 })
  const registries = { resolver: { limits } }
  const [a, b] = [
    await startMember(t, redis.url, source, registries),
    await startMember(t, redis.url, source, registries),
  ]
  // Silent for longer than the claim lasts without being prolonged.
  source.replies['docker.io'] = () => new Promise(() => {})
  const first = a.resolver.resolve(nginx(), ALWAYS)
  await until(() => a.metrics.shared.claims.won === 1)

  const second = b.resolver.resolve(nginx(), ALWAYS)
  await until(() => b.metrics.shared.claims.given_up === 1)

  assert.equal(b.metrics.shared.claims.won, 0)
  assert.equal(a.metrics.shared.claims.lost, 0)
  source.replies['m1'] = has()
  answer()
  await Promise.all([first.catch(() => {}), second.catch(() => {})])
})

const POISON: readonly (readonly [string, (entry: string, old: string) => string])[] = [
  ['with another digest', (entry) => entry.replaceAll(IMAGE.digest, OTHER.digest)],
  ['with a younger time', (entry) => entry.replace(/^1 (\d+)/, (_, ms) => `1 ${Number(ms) + 500}`)],
  ['without a signature', (entry) => entry.replace(/^(1 \d+) \S+/, `$1 ${'A'.repeat(43)}`)],
  ['that is no entry', () => 'nonsense'],
  ['of another form', (entry) => entry.replace(/^1 /, '2 ')],
]

for (const [what, poison] of POISON) {
  test(`an entry ${what} is never used`, async (t) => {
    if (!requireRedis(t)) return
    const redis = await startRedis(t)
    const source = new FakeSource({ m1: has() })
    const fields = ', freshness: 1h, budget: 1s'
    const [a, b] = [
      await startMember(t, redis.url, source, { fields }),
      await startMember(t, redis.url, source, { fields }),
    ]
    await a.resolver.resolve(nginx(), ALWAYS)
    await until(async () => (await entriesOf(redis)) !== '')
    const name = await entriesOf(redis)
    const entry = await redis.command('--raw', 'get', name)
    await redis.command('set', name, poison(entry, entry))

    const answer = await b.resolver.resolve(nginx(), ALWAYS)

    assert.equal(answer.source, 'registry')
    assert.equal(answer.digest, IMAGE.digest)
    // What this node said is there now.
    await until(async () => (await a.resolver.resolve(nginx(), ALWAYS)).source === 'shared')
  })
}

test('an old entry that is brought back is as old as it is, and one moved to another name is none', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const fields = ', freshness: 50ms, budget: 1s'
  const node = await startMember(t, redis.url, source, { fields, tagTtlMs: 1 })
  await node.resolver.resolve(nginx(), ALWAYS)
  await until(async () => (await entriesOf(redis)) !== '')
  const name = await entriesOf(redis)
  const old = await redis.command('--raw', 'get', name)
  const since = Number(/^1 (\d+)/.exec(old)?.[1])
  source.replies['m1'] = has(OTHER)
  await until(
    async () => Number((await redis.command('time')).split('\n')[0]) * 1_000 > since + 2_000,
  )

  await redis.command('set', name, old)
  assert.equal((await node.resolver.resolve(nginx(), ALWAYS)).digest, OTHER.digest)

  await node.resolver.resolve(nginx({ tag: 'other' }), ALWAYS)
  await until(async () => (await entriesOf(redis)).split('\n').length === 2)
  const other = (await entriesOf(redis)).split('\n').find((each) => each !== name) ?? ''
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
  await until(async () => (await entriesOf(redis)) !== '')
  const entryName = await entriesOf(redis)
  source.replies['m1'] = async () => {
    claim = await redis.command('keys', '*:claim:*')
    return IMAGE
  }
  await redis.command('del', entryName)
  await node.resolver.resolve(nginx(), ALWAYS)
  await until(async () => (await entriesOf(redis)) !== '')
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

test('nodes share no answer where one of them has an account at the registry and the other none', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const source = new FakeSource({ m1: has() })
  const account = { kind: 'basic', username: 'a', password: 'b' } as const
  const keychain = { credentials: async () => account } as never
  const fields = ', freshness: 1h, budget: 1s'
  const known = await startMember(t, redis.url, source, { fields, resolver: { keychain } })
  const stranger = await startMember(t, redis.url, source, { fields })
  const alike = await startMember(t, redis.url, source, { fields, resolver: { keychain } })
  await known.resolver.resolve(nginx(), ALWAYS)
  await until(async () => (await entriesOf(redis)) !== '')

  const answers = [stranger, alike].map(({ resolver }) => resolver.resolve(nginx(), ALWAYS))

  assert.deepEqual(
    (await Promise.all(answers)).map(({ source: from }) => from),
    ['registry', 'shared'],
  )
})
