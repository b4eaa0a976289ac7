import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reference } from '../../../src/reference/reference.ts'
import { RegistryHealth } from '../../../src/registry/health.ts'
import { ResolutionCache } from '../../../src/resolver/cache/cache.ts'
import { Resolver, type ResolverOptions } from '../../../src/resolver/resolver.ts'
import type { Registries } from '../../../src/resolver/types.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { FakeRegistry, serve } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask as questionTo, startImages } from '../../support/registry-images.ts'
import { entry, registriesOf } from '../../support/resolver.ts'
import type { Cleanup } from '../../support/stack.ts'

const LATENCY_MS = 300
const AT_ONCE = 4
const IMAGE = buildImage()

/** A registry that answers whoever asks it at once after 300 ms of the resolver's clock. */
async function startSlow(t: Cleanup) {
  const registry = await FakeRegistry.start(t)
  const clock = new FakeClock()
  const health = new RegistryHealth({ now: () => clock.now(), steady: () => clock.now() })
  const held: (() => void)[] = []
  let heard = (): void => {}
  registry.behaviour = (exchange) => {
    held.push(() => serve(exchange))
    heard()
  }
  const { host } = registry
  const name = 'slow'
  const registries: Registries = {
    ...registriesOf([]),
    serving: () => [entry(name, { endpoint: { scheme: 'http', host, prefix: '' } })],
    origin: () => ({ endpoint: { scheme: 'http', host, prefix: '' }, configured: true }),
    mirrorsOnly: () => 'docker.io',
  }
  const images = startImages(t, { maxConcurrent: AT_ONCE })
  const limits = { size: 1_000, tagTtlMs: 60_000, keepMs: 60_000 }
  const options: ResolverOptions = {
    source: images,
    registries: () => registries,
    health,
    cache: new ResolutionCache(limits, () => clock.now()),
    clock,
    platform: AMD64,
    limits: () => ({ hedgeDelayMs: 300, probeBudgetMs: 2_000, totalMs: 20_000 }),
    fingerprint: () => '',
  }
  const resolver = new Resolver(options)
  t.after(() => resolver.close())
  const ask = (index: number, asked: { readonly urgent?: boolean } = {}) => {
    const path = `team/app-${index}`
    registry.put(path, '1', IMAGE)
    const reference: Reference = { domain: 'docker.io', path, tag: '1', digest: undefined }
    return resolver.resolve(reference, asked)
  }
  /** Waits until so many questions are there, and answers them. */
  const answer = async (count: number): Promise<void> => {
    while (held.length < count) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
    await settle()
    await clock.advance(LATENCY_MS)
    for (const each of held.splice(0)) each()
  }
  return { answer, ask, clock, health, images, name, registry }
}

test('questions that wait for each other at a healthy registry are all answered, and none is held against it', async (t) => {
  const { answer, ask, health, name, registry } = await startSlow(t)
  const asked = Array.from({ length: 60 }, (_, index) => ask(index))

  // The last ones wait for 4.2 s, twice the budget of a probe.
  for (let round = 0; round < 60 / AT_ONCE; round += 1) await answer(AT_ONCE)
  const answers = await Promise.all(asked)

  assert.equal(answers.length, registry.requests.length)
  assert.deepEqual(new Set(answers.map(({ attempts }) => attempts[0]?.ms)), new Set([LATENCY_MS]))
  const { failures, latencyMs, state } = health.report(name)
  assert.deepEqual(
    { failures, latencyMs, state },
    { failures: 0, latencyMs: LATENCY_MS, state: 'closed' },
  )
})

test('the error of a deadline in the queue says so, and does not count against the registry', async (t) => {
  const { answer, ask, clock, health, images, name, registry } = await startSlow(t)
  registry.put('team/other', '1', IMAGE)
  const others = Array.from({ length: AT_ONCE }, () =>
    images.image(questionTo(registry, 'team/other', '1'), AMD64),
  )
  const last = ask(0)
  last.catch(() => {})

  await clock.advance(20_000)

  await assert.rejects(last, {
    code: 'DEADLINE_EXCEEDED',
    message:
      'docker.io/team/app-0:1: out of time; slow: waited 20.0 s in line; so many questions were put at once; ask again, or fewer at a time',
  })
  assert.equal(health.report(name).state, 'closed')
  await answer(AT_ONCE)
  await Promise.all(others)
  assert.equal(registry.requests.length, AT_ONCE)
})

test('an urgent caller is admitted before all others that wait', async (t) => {
  const { answer, ask, registry } = await startSlow(t)
  const asked = Array.from({ length: 3 * AT_ONCE }, (_, index) => ask(index))
  await settle()
  const pull = ask(100, { urgent: true })

  await answer(AT_ONCE)
  await answer(AT_ONCE)
  await pull

  assert.equal(registry.requests.length, 2 * AT_ONCE)
  await answer(AT_ONCE)
  await answer(1)
  await Promise.all(asked)
})

test('an urgent caller starts its own flight, and later callers join it', async (t) => {
  const { answer, ask, registry } = await startSlow(t)
  const asked = Array.from({ length: 3 * AT_ONCE }, (_, index) => ask(index))
  await settle()
  const pulls = [ask(3 * AT_ONCE - 1, { urgent: true }), ask(3 * AT_ONCE - 1)]

  await answer(AT_ONCE)
  await answer(AT_ONCE)
  await Promise.all(pulls)

  assert.equal(registry.requests.length, 2 * AT_ONCE)
  await answer(AT_ONCE)
  await answer(1)
  await Promise.all(asked)
})
