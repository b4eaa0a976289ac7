import assert from 'node:assert/strict'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { systemClock } from '../../src/concurrency/clock.ts'
import { MAX_ENTRY_BYTES } from '../../src/shared-cache/entry.ts'
import { RedisClient } from '../../src/shared-cache/redis-client.ts'
import { SharedMetrics } from '../../src/telemetry/counters.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { loadText } from '../support/config.ts'
import { startDaemon } from '../support/daemon.ts'
import { FakeRegistry } from '../support/fake-registry.ts'
import { told } from '../support/fleet.ts'
import { CRI_O, startImageRuntime } from '../support/image-runtime.ts'
import { buildImage } from '../support/images.ts'
import { requireRedis, startRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/stack.ts'
import { until } from '../support/until.ts'

test('two services, as they are built, ask a registry once for both', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', buildImage())
  const config = {
    cache: { shared: { url: redis.url, budget: '1s' } },
    registries: [{ address: registry.url }],
  }
  const answers: { readonly source: string; readonly digest: string }[] = []
  for (let node = 0; node < 2; node += 1) {
    const daemon = await startDaemon(t, { config })
    await daemon.program().line(/the shared store is used/)
    const response = await fetch(`${daemon.httpUrl()}/resolve?ref=app:1`)
    answers.push((await response.json()) as (typeof answers)[number])
  }

  assert.deepEqual(
    answers.map(({ source }) => source),
    ['registry', 'shared'],
  )
  assert.equal(answers[0]?.digest, answers[1]?.digest)
})

const TOKEN = 'known-to-the-registry'
const PUSH = JSON.stringify({
  events: [{ action: 'push', target: { repository: 'library/app', tag: '1' } }],
})

test('a push that one service is told of is seen by the other, and is to be sent again while the store is gone', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const registry = await FakeRegistry.start(t)
  const [before, after] = [buildImage({ seed: 'before' }), buildImage({ seed: 'after' })]
  registry.put('library/app', '1', before)
  const config = {
    cache: { tagTTL: '24h', shared: { url: redis.url, budget: '1s' } },
    registries: [{ address: registry.url }],
    http: { listen: '127.0.0.1:0', token: TOKEN, events: true },
  }
  const [a, b] = [await startDaemon(t, { config }), await startDaemon(t, { config })]
  for (const each of [a, b]) await each.program().line(/the shared store is used/)
  const resolve = async ({ httpUrl }: typeof a): Promise<string> => {
    const response = await fetch(`${httpUrl()}/resolve?ref=app:1`)
    return ((await response.json()) as { readonly digest: string }).digest
  }
  const tell = () =>
    fetch(`${a.httpUrl()}/events/registry`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: PUSH,
    })
  assert.equal(await resolve(a), before.digest)
  await told(redis)
  registry.put('library/app', '1', after)

  assert.deepEqual(await (await tell()).json(), { tags: 1, expired: 1 })
  assert.equal(await resolve(b), after.digest)

  await redis.kill()
  const refused = await tell()
  assert.equal(refused.status, 502)
  assert.equal(refused.headers.get('retry-after'), '5')
  assert.match(await refused.text(), /send the notification again/)
  await redis.restart()
  await until(async () => (await tell()).status === 200)
})

test('two services, as they are built, check each image once for both', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const registry = await FakeRegistry.start(t)
  const names = Array.from({ length: 12 }, (_, index) => `team/app-${index}`)
  for (const name of names) registry.put(name, '1', buildImage({ seed: name }))
  const config = {
    cache: { shared: { url: redis.url, budget: '1s' } },
    check: { interval: '1m' },
    http: { listen: '127.0.0.1:0', token: 'secret' },
    registries: [{ address: registry.url }],
  }
  const cris = [1, 2].map(() => join(temporaryFolder(t), 'cri.sock'))
  for (const cri of cris) {
    const runtime = await startImageRuntime(t, cri, CRI_O)
    for (const name of names) await runtime.pull(`${registry.host}/${name}:1`)
  }
  registry.requests.length = 0
  const daemons = await Promise.all(cris.map((cri) => startDaemon(t, { cri, config })))

  const reports: { images: { state: string; places: object[] }[] }[] = []
  const metrics: string[] = []
  for (const daemon of daemons) {
    const ask = async (path: string) => {
      const headers = { authorization: 'Bearer secret' }
      return (await fetch(new URL(path, daemon.httpUrl()), { headers })).text()
    }
    await until(async () => JSON.parse(await ask('/check')).checkedAt !== null)
    reports.push(JSON.parse(await ask('/check')))
    metrics.push(await ask('/metrics'))
  }

  const heads = registry.requests.filter(({ method }) => method === 'HEAD')
  assert.equal(new Set(heads.map(({ path }) => path)).size, names.length)
  assert.equal(heads.length, names.length)
  for (const { images } of reports) {
    assert.deepEqual(new Set(images.map(({ state }) => state)), new Set(['everywhere']))
    assert.equal(images.length, names.length)
  }
  for (const text of metrics) {
    assert.match(text, /^image_resolver_images_in_use\{state="everywhere"\} 12$/m)
  }
  const shared = reports.flatMap(({ images }) => images.flatMap(({ places }) => places))
  assert.equal(shared.filter((place) => 'askedAt' in place).length, names.length)
})

test('a value that is longer than any entry is not fetched', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const { shared: config } = loadText(`cache: {shared: {url: "${redis.url}"}}\n`).config.cache
  assert.ok(config !== undefined)
  const steady = (): number => performance.now()
  const options = { config, metrics: new SharedMetrics(), clock: systemClock, steady }
  const client = new RedisClient({ ...options, logger: silentLogger() })
  t.after(() => client.close(1_000))
  await client.open()
  await client.ready(60_000)
  await redis.command('setrange', 'long', '50000000', 'x')
  await redis.command('setrange', 'longest', String(MAX_ENTRY_BYTES - 1), 'x')

  assert.equal(await client.get('long', 60_000), null)
  assert.equal((await client.get('longest', 60_000))?.length, MAX_ENTRY_BYTES)
  assert.equal(await client.get('none', 60_000), null)
  assert.ok(Number(/total_net_output_bytes:(\d+)/.exec(await redis.command('info'))?.[1]) < 1e6)
})
