import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Redis as Client } from 'ioredis'
import { ResolutionCache } from '../../../src/resolver/cache/cache.ts'
import { Resolver } from '../../../src/resolver/resolver.ts'
import type { Resolution } from '../../../src/resolver/types.ts'
import { EntrySigner } from '../../../src/shared-cache/entry.ts'
import { RedisCache } from '../../../src/shared-cache/redis-cache.ts'
import type { RedisClient } from '../../../src/shared-cache/redis-client.ts'
import { SCRIPTS, type ScriptName } from '../../../src/shared-cache/scripts.ts'
import { SharedMetrics } from '../../../src/telemetry/counters.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { requireRedis, startRedis } from '../../support/redis.ts'
import {
  AMD64,
  entry,
  FakeHealth,
  FakeSource,
  identity,
  nginx,
  registriesOf,
} from '../../support/resolver.ts'

// The scripts run in a real server, with the time of the test: what is left of each key's life is taken from it as that goes on.

const FRESHNESS_MS = 1_000
const BUDGET_MS = 50
const PROBE_MS = 400
const HOUR_MS = 3_600_000
/** As the cache tells the store again of what changed lately. */
const REPEAT_MS = 60_000
const TAGS = ['a', 'b'] as const
const CLOCKS_OFF_MS = [0, HOUR_MS, -HOUR_MS] as const
const TIME = "redis.call('TIME')"

const AGE = `
for _, key in ipairs(redis.call('KEYS', 'image-resolver:*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 and left <= tonumber(ARGV[1]) then redis.call('DEL', key)
  elseif left >= 0 then redis.call('PEXPIRE', key, string.format('%.0f', left - ARGV[1])) end
end`

type Network = 'works' | 'sends nothing' | 'brings no answer' | 'brings answers late'

type Act =
  | { readonly does: 'pull'; readonly node: number; readonly tag: (typeof TAGS)[number] }
  /** The tag moves, and that node is told of it, unless it is not. */
  | { readonly does: 'push'; readonly tag: (typeof TAGS)[number]; readonly node?: number }
  /** That is told of a tag, and replaced by a replica which lacks it. */
  | { readonly does: 'failover'; readonly tag: (typeof TAGS)[number]; readonly node: number }
  | { readonly does: 'answer' | 'evict'; readonly index: number }
  | { readonly does: 'pass'; readonly ms: number }
  | { readonly does: 'die' | 'refresh'; readonly node: number }
  | { readonly does: 'network'; readonly node: number; readonly network: Network }
  | { readonly does: 'empty' | 'replicate' | 'promote' | 'clock' }

const node = fc.nat({ max: CLOCKS_OFF_MS.length - 1 })
const tag = fc.constantFrom(...TAGS)
const index = fc.nat({ max: 20 })
const act = fc.oneof(
  { weight: 8, arbitrary: fc.record({ does: fc.constant('pull'), node, tag }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('push'), tag, node }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('push'), tag }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('failover'), tag, node }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant('answer'), index }) },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('pass'),
      ms: fc.constantFrom(1, 20, 150, 450, 999, 1_000, 1_001, 4_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('die', 'refresh'), node }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('evict'), index }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('network'),
      node,
      network: fc.constantFrom<Network>(
        'works',
        'works',
        'sends nothing',
        'brings no answer',
        'brings answers late',
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constantFrom('empty', 'replicate', 'replicate', 'promote', 'promote', 'clock'),
    }),
  },
) as fc.Arbitrary<Act>

/** One server, its time, and what was given by a registry whose tags move. */
class Fleet {
  readonly clock: FakeClock
  readonly #client: Client
  readonly #versions = new Map<string, { readonly digest: string; readonly since: number }[]>()
  readonly #held: (() => void)[] = []
  readonly #nodes: Node[]
  readonly #told = new Map<string, Told>()
  #running = 0
  /** Commands that the store has not answered. */
  #commands = 0
  #broken: unknown
  #storeMs: number
  #aheadMs = 0
  readonly given = { registry: 0, shared: 0, afterPush: 0 }

  constructor(client: Client) {
    this.#client = client
    this.clock = new FakeClock(() => this.#calm())
    this.#storeMs = this.clock.now()
    this.#nodes = CLOCKS_OFF_MS.map((offMs) => this.#node(offMs))
  }

  async live(acts: readonly Act[]): Promise<void> {
    await this.#client.flushall()
    for (const each of acts) {
      await this.#do(each)
      await this.#calm()
    }
    // Nothing may be left that was not looked at.
    for (let round = 0; round < 60 && this.#running > 0; round += 1) {
      for (const answer of this.#held.splice(0)) answer()
      await this.clock.advance(PROBE_MS)
    }
    assert.equal(this.#running, 0, 'a pull never ends')
    for (const { cache } of this.#nodes) await cache.close()
  }

  async #do(act: Act): Promise<void> {
    switch (act.does) {
      case 'pull':
        return this.#pull(this.#at(act.node), act.tag)
      case 'refresh':
        return this.#pull(this.#at(act.node), TAGS[0], false)
      case 'push':
        return this.#push(act.tag, act.node)
      case 'failover':
        await this.#copy(0, 1)
        await this.#push(act.tag, act.node)
        await this.#calm()
        return this.#promote()
      case 'answer': {
        const [answer] = this.#held.splice(act.index % Math.max(1, this.#held.length), 1)
        answer?.()
        return
      }
      case 'pass':
        return this.clock.advance(act.ms)
      case 'die': {
        const dead = this.#at(act.node)
        dead.network = 'sends nothing'
        dead.isDead = true
        this.#nodes[act.node] = this.#node(dead.offMs)
        return
      }
      case 'network':
        this.#at(act.node).network = act.network
        return
      case 'evict': {
        const keys = (await this.#client.keys('image-resolver:*')).sort()
        const key = keys[act.index % Math.max(1, keys.length)]
        if (key !== undefined) await this.#client.del(key)
        return
      }
      case 'empty':
        await this.#client.flushdb()
        return
      case 'replicate':
        return this.#copy(0, 1)
      case 'promote':
        return this.#promote()
      case 'clock':
        // Of the store: one that goes back is another matter, since answers look young by it.
        this.#aheadMs += 500
    }
  }

  #at(index: number): Node {
    return this.#nodes[index] as Node
  }

  #pull(from: Node, tag: string, isAlways = true): void {
    // A pull that joins one which is under way at its node gets the answer to that.
    const pulling = from.pulling.get(tag) ?? { count: 0, since: this.clock.now() }
    from.pulling.set(tag, pulling)
    pulling.count += 1
    const began = pulling.since
    const told = pulling.count === 1 ? this.#told.get(tag) : undefined
    this.#running += 1
    const check = ({ digest, source }: Resolution): void => {
      if (from.isDead || source === 'stale') return
      this.given[source === 'shared' ? 'shared' : 'registry'] += 1
      const ended = this.clock.now()
      const spans = this.#spans(tag, digest)
      assert.ok(
        spans.some(({ from, to }) => from <= ended && to >= began - FRESHNESS_MS),
        `${tag} was not ${digest} at any time from ${began - FRESHNESS_MS} to ${ended}`,
      )
      if (told === undefined || told.isLost) return
      this.given.afterPush += 1
      assert.ok(
        spans.some(({ to }) => to > told.since),
        `${tag} was still ${digest}, which it had not been since ${told.since}`,
      )
    }
    void from.resolver
      .resolve(nginx({ tag }), { refresh: true, shared: isAlways, urgent: true })
      // A pull may fail here, where registries are silent for longer than any waits.
      .then(check, () => {})
      .catch((thrown: unknown) => {
        this.#broken ??= thrown
      })
      .finally(() => {
        this.#running -= 1
        pulling.count -= 1
        if (pulling.count === 0) from.pulling.delete(tag)
      })
  }

  async #push(tag: string, teller: number | undefined): Promise<void> {
    await this.clock.advance(1)
    const since = this.clock.now()
    const versions = this.#known(tag)
    versions.push({ digest: `${tag} ${versions.length}`, since })
    if (teller === undefined) return
    const by = this.#at(teller)
    by.resolver.expire([{ host: 'm1', repository: 'library/nginx', tag }])
    const isTold = by.cache.expire([{ repository: 'library/nginx', tag }])
    void isTold.then((isTold) => {
      const before = this.#told.get(tag)?.since ?? 0
      if (isTold && since > before)
        this.#told.set(tag, { since, by, at: this.clock.now(), isLost: false })
    })
  }

  async #promote(): Promise<void> {
    await this.#copy(1, 0)
    for (const each of this.#nodes) each.cache.connected()
    const now = this.clock.now()
    for (const [tag, told] of this.#told) {
      const { at, by } = told
      // What the replica lacks only the node knows that told it.
      if (!by.isDead && by.network === 'works' && now - at <= REPEAT_MS) continue
      this.#told.delete(tag)
      // A pull that is under way may be given what an earlier one asked for before the tag moved.
      told.isLost = true
    }
    await this.#calm()
  }

  async #copy(from: number, to: number): Promise<void> {
    const script = `
      redis.call('SELECT', ARGV[2]) redis.call('FLUSHDB') redis.call('SELECT', ARGV[1])
      for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', ARGV[2]) end
      redis.call('SELECT', 0)`
    await this.#client.eval(script, 0, String(from), String(to))
  }

  #known(tag: string) {
    const known = this.#versions.get(tag) ?? [{ digest: `${tag} 0`, since: 0 }]
    this.#versions.set(tag, known)
    return known
  }

  /** When the tag pointed there. */
  #spans(tag: string, digest: string): readonly { readonly from: number; readonly to: number }[] {
    const versions = this.#known(tag)
    return versions.flatMap((version, index) => {
      const to = versions[index + 1]?.since ?? Number.POSITIVE_INFINITY
      return identity(version.digest).digest === digest ? [{ from: version.since, to }] : []
    })
  }

  #node(offMs: number): Node {
    const { clock } = this
    const own = { now: () => clock.now() + offMs, after: clock.after.bind(clock) }
    const steady = (): number => clock.now()
    const state = { network: 'works' as Network, isDead: false, offMs, pulling: new Map() }
    const cache = new RedisCache({
      client: this.#connection(state),
      signer: new EntrySigner(Buffer.from('the key of this fleet')),
      scope: () => '',
      freshnessMs: FRESHNESS_MS,
      budgetMs: BUDGET_MS,
      metrics: new SharedMetrics(),
      clock: own,
      steady,
      logger: silentLogger(),
      random: () => 0.5,
    })
    const limits = { size: 16, tagTtlMs: 60_000, keepMs: HOUR_MS, negativeTtlMs: 1_000 }
    const source = new FakeSource({ m1: this.#reply, 'docker.io': this.#reply })
    const resolver = new Resolver({
      source,
      registries: () => registriesOf([entry('m1')]),
      health: new FakeHealth(),
      cache: new ResolutionCache(limits, own.now, steady),
      clock: own,
      platform: AMD64,
      limits: () => ({ hedgeDelayMs: 0, probeBudgetMs: PROBE_MS, totalMs: 20 * PROBE_MS }),
      fingerprint: () => '',
      shared: () => cache,
    })
    return Object.assign(state, { cache, resolver })
  }

  /** What the tag is when it is asked, when the test lets go of it. */
  readonly #reply = ({ reference }: { readonly reference: string }) => {
    const found = reference.includes(':')
      ? [...this.#versions.values()]
          .flat()
          .find((each) => identity(each.digest).digest === reference)
      : this.#known(reference).at(-1)
    return new Promise<ReturnType<typeof identity>>((resolve) => {
      this.#held.push(() => resolve(identity(found?.digest ?? '')))
    })
  }

  #connection(state: { network: Network }): Pick<RedisClient, 'script' | 'get' | 'set' | 'delete'> {
    const send = async <T>(
      what: () => Promise<T>,
      late: (reply: T) => void = () => {},
    ): Promise<T | undefined> => {
      const { network } = state
      if (network === 'sends nothing') return undefined
      const reply = await this.#atStore(what)
      if (network === 'works') return reply
      if (network === 'brings answers late') this.clock.after(BUDGET_MS, () => late(reply))
      return undefined
    }
    return {
      script: (name: ScriptName, args, limitMs, late) => {
        if (limitMs <= 0) return Promise.resolve(undefined)
        const script: { readonly lua: string; readonly numberOfKeys?: number } = SCRIPTS[name]
        const { lua, numberOfKeys } = script
        const keys = numberOfKeys === undefined ? args : [String(numberOfKeys), ...args]
        const [count = '0', ...rest] = keys
        const timed = lua.replace(TIME, "redis.call('HMGET', 'time', 's', 'us')")
        assert.ok(!timed.includes(TIME))
        return send<unknown>(() => this.#client.eval(timed, Number(count), ...rest), late)
      },
      get: (name) => send(() => this.#client.get(name)),
      set: async (name, text, keepMs) => {
        await send(() => this.#client.set(name, text, 'PX', Math.ceil(keepMs)))
      },
      delete: async (name) => typeof (await send(() => this.#client.del(name))) === 'number',
    }
  }

  /** The store's time is that of the test, at each command. */
  async #atStore<T>(command: () => Promise<T>): Promise<T> {
    this.#commands += 1
    const now = this.clock.now() + this.#aheadMs
    const passedMs = now - this.#storeMs
    this.#storeMs = now
    const aged = passedMs > 0 ? this.#client.eval(AGE, 0, String(passedMs)) : undefined
    const seconds = Math.floor(now / 1_000)
    const timed = this.#client.hset('time', { s: seconds, us: (now % 1_000) * 1_000 })
    try {
      const [, , reply] = await Promise.all([aged, timed, command()])
      return reply
    } finally {
      this.#commands -= 1
    }
  }

  async #calm(): Promise<void> {
    do {
      await settle()
    } while (this.#commands > 0)
    await settle()
    if (this.#commands > 0) await this.#calm()
    if (this.#broken !== undefined) throw this.#broken
  }
}

/** That a tag has moved. */
interface Told {
  readonly since: number
  readonly by: Node
  readonly at: number
  /** Neither the store nor a node knows of it any more. */
  isLost: boolean
}

interface Node {
  network: Network
  isDead: boolean
  readonly offMs: number
  /** Pulls of a tag that are under way, and since when there are any. */
  readonly pulling: Map<string, { count: number; readonly since: number }>
  readonly cache: RedisCache
  readonly resolver: Resolver
}

test('whatever happens to nodes and store, an answer was true within the freshness before it, and a push that was taken is seen by each later pull', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const client = new Client({ path: redis.path })
  client.on('error', () => {})
  t.after(() => client.disconnect())
  const given = { registry: 0, shared: 0, afterPush: 0 }

  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 60 }), async (acts) => {
      const fleet = new Fleet(client)
      await fleet.live(acts)
      for (const key of Object.keys(given) as (keyof typeof given)[]) given[key] += fleet.given[key]
    }),
    { numRuns: 200 },
  )

  // Of what is given least it is 70 or so, 20 more or less.
  for (const [what, count] of Object.entries(given)) assert.ok(count > 5, `${what}: ${count}`)
})
