import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Clock, systemClock } from '../../src/concurrency/clock.ts'
import type { Reference } from '../../src/reference/reference.ts'
import type { ImageIdentity } from '../../src/registry/image.ts'
import { ALWAYS, type FleetMember, type FleetMemberOptions, startMember } from '../support/fleet.ts'
import { listen } from '../support/listen.ts'
import { reservePort } from '../support/port.ts'
import { type Program, runProgram, startProgram } from '../support/program.ts'
import { type Redis, requireRedis, startRedis } from '../support/redis.ts'
import { FakeSource, identity, nginx } from '../support/resolver.ts'
import { temporaryFolder } from '../support/stack.ts'

const FRESHNESS_MS = 100
const BUDGET_MS = 1_000
const TAGS = ['a', 'b', 'c'] as const
/** A machine that is busy answers late, and a store that did is left alone for a minute at the most. */
const PATIENCE_MS = 240_000

/** A registry in this process whose tags move, and that remembers when. */
class MovingRegistry {
  readonly source = new FakeSource({
    m1: async ({ reference }) => {
      if (reference.includes(':')) return this.#byDigest(reference)
      const image = this.#versions(reference).at(-1)?.image ?? identity('none')
      await new Promise((resolve) => setTimeout(resolve, 2))
      return image
    },
  })
  readonly #tags = new Map<string, { readonly image: ImageIdentity; readonly since: number }[]>()

  move(tag: string): void {
    const versions = this.#versions(tag)
    versions.push({ image: identity(`${tag} ${versions.length}`), since: performance.now() })
  }

  /** Whether a tag pointed there at any time between two. */
  wasTrue(tag: string, digest: string, from: number, to: number): boolean {
    const versions = this.#versions(tag)
    return versions.some(({ image, since }, index) => {
      const until = versions[index + 1]?.since ?? Number.POSITIVE_INFINITY
      return image.digest === digest && since <= to && until >= from
    })
  }

  #versions(tag: string) {
    const known = this.#tags.get(tag) ?? [{ image: identity(`${tag} 0`), since: 0 }]
    this.#tags.set(tag, known)
    return known
  }

  #byDigest(digest: string): ImageIdentity {
    for (const versions of this.#tags.values()) {
      const found = versions.find(({ image }) => image.digest === digest)
      if (found !== undefined) return found.image
    }
    throw new Error(`no such digest: ${digest}`)
  }
}

interface Given {
  readonly tag: string
  readonly digest: string
  readonly began: number
  readonly ended: number
}

/** Time as a member sees it, off by so much. */
function aClock(offMs: number): Clock {
  return { now: () => systemClock.now() + offMs, after: systemClock.after }
}

/** The system's, but that the limit of a command to the store is over when the test says so, not when a busy machine does. */
function aClockWithLimits() {
  const held = new Set<() => void>()
  const clock: Clock = {
    now: systemClock.now,
    after: (ms, callback) => {
      if (ms < BUDGET_MS / 2 || ms > BUDGET_MS) return systemClock.after(ms, callback)
      held.add(callback)
      return () => void held.delete(callback)
    },
  }
  const end = (): void => {
    for (const callback of held) callback()
    held.clear()
  }
  return { clock, end, held: () => held.size }
}

/** A pull that a store which does not answer holds up for the limit of one command, and no longer. */
async function pullsAfterOneLimit(
  member: FleetMember | undefined,
  limits: ReturnType<typeof aClockWithLimits>,
): Promise<void> {
  let isOver = false
  const pull = member?.resolver.resolve(nginx({ tag: 'a' }), ALWAYS).finally(() => {
    isOver = true
  })
  await until(() => isOver || limits.held() > 0)
  limits.end()
  await until(() => isOver)
  await pull
}

interface Fleet {
  readonly registry: MovingRegistry
  readonly members: readonly FleetMember[]
  readonly given: Given[]
  pull(member: FleetMember | undefined, tag: string): Promise<Given>
}

/** Members of a fleet; what they are given is checked at the end: nothing that had not been true lately. */
async function startFleet(
  t: TestContext,
  url: string,
  { budget = `${BUDGET_MS}ms`, ...options }: FleetMemberOptions & { readonly budget?: string } = {},
  offsMs: readonly number[] = [0, 0, 0, 0],
): Promise<Fleet> {
  const registry = new MovingRegistry()
  const fields = `, freshness: ${FRESHNESS_MS}ms, budget: ${budget}${options.fields ?? ''}`
  const members = await Promise.all(
    offsMs.map((offMs) => {
      const clock = aClock(offMs)
      return startMember(t, url, registry.source, { clock, ...options, fields })
    }),
  )
  const given: Given[] = []
  const pull = async (member: FleetMember | undefined, tag: string): Promise<Given> => {
    const began = performance.now()
    const reference: Reference = nginx({ tag })
    const found = await member?.resolver.resolve(reference, ALWAYS)
    const one = { tag, digest: found?.digest ?? '', began, ended: performance.now() }
    given.push(one)
    return one
  }
  return { registry, members, given, pull }
}

/** All members pull all the time, and tags move, until what is done meanwhile has ended. */
async function storm({ members, pull, registry }: Fleet, meanwhile: () => Promise<unknown>) {
  let isOver = false
  const work = members.map(async (member) => {
    while (!isOver) {
      for (const tag of TAGS) {
        await pull(member, tag)
        if (Math.random() < 0.05) registry.move(tag)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
  })
  // A pull that fails ends the test here.
  const ended = meanwhile().finally(() => {
    isOver = true
  })
  await Promise.all([...work, ended])
}

function requireTruth({ given, registry }: Fleet): void {
  assert.ok(given.length > 20, `${given.length} answers`)
  for (const { began, digest, ended, tag } of given) {
    const isTrue = registry.wasTrue(tag, digest, began - FRESHNESS_MS, ended)
    assert.ok(
      isTrue,
      `${tag} was not ${digest} from ${FRESHNESS_MS} ms before ${began} to ${ended}`,
    )
  }
}

function shared({ members }: Fleet): number {
  return members.reduce((sum, { metrics }) => sum + metrics.shared.lookups.answer, 0)
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endAt = performance.now() + PATIENCE_MS
  while (!(await holds())) {
    if (performance.now() > endAt) throw new Error('it never came to that')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** So many more answers of other nodes. */
function moreShared(fleet: Fleet, count = 60): Promise<void> {
  const from = shared(fleet)
  return until(() => shared(fleet) >= from + count)
}

/** So many more pulls. */
function morePulls({ given }: Fleet, count = 100): Promise<void> {
  const from = given.length
  return until(() => given.length >= from + count)
}

test('a store that is killed in the middle of a storm, and comes back empty, fails no pull', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const fleet = await startFleet(t, redis.url)

  await storm(fleet, async () => {
    await moreShared(fleet)
    await redis.kill()
    await morePulls(fleet)
    await redis.restart()
    await moreShared(fleet)
  })

  requireTruth(fleet)
})

test('a store that takes questions and answers none fails no pull, and costs each one budget at the most', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const limits = aClockWithLimits()
  const fleet = await startFleet(t, redis.url)
  const [other] = (await startFleet(t, redis.url, { clock: limits.clock }, [0])).members

  await storm(fleet, async () => {
    await moreShared(fleet)
    process.kill(redis.program.pid, 'SIGSTOP')
    await pullsAfterOneLimit(other, limits)
    const leftAlone = other?.metrics.shared.leftAlone ?? 0
    await other?.resolver.resolve(nginx({ tag: 'a' }), ALWAYS)
    assert.equal(limits.held(), 0, 'the second pull waited too')
    assert.ok((other?.metrics.shared.leftAlone ?? 0) > leftAlone)
    await morePulls(fleet)
    process.kill(redis.program.pid, 'SIGCONT')
    await moreShared(fleet)
  })

  requireTruth(fleet)
  const logged = other?.logged.filter((line) => line === 'the shared store is left alone')
  assert.equal(logged?.length, 1, 'once for all')
})

const POLICIES = [
  'noeviction',
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
]

test('a store that is full fails no pull, whatever its maxmemory-policy, and is read still', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const set = (name: string, value: string) => redis.command('config', 'set', name, value)
  // It answers always: on a busy machine a node waits for longer than a second, see startMember.
  const fleet = await startFleet(t, redis.url, { budget: '1s' })
  const [member] = fleet.members

  await storm(fleet, async () => {
    await moreShared(fleet)
    for (const policy of POLICIES) {
      await set('maxmemory-policy', policy)
      await set('maxmemory', '1')
      await morePulls(fleet)
      await set('maxmemory', '0')
      await moreShared(fleet, 20)
    }
  })

  requireTruth(fleet)
  assert.ok(member && !member.logged.includes('the shared store is left alone'))
  const fields = ', freshness: 1h, budget: 1s'
  const patient = await startMember(t, redis.url, fleet.registry.source, { fields })
  await set('maxmemory-policy', 'noeviction')
  await patient.resolver.resolve(nginx({ tag: 'kept' }), ALWAYS)
  await until(async () => (await redis.command('keys', '*:answer:*')).includes('answer'))
  await set('maxmemory', '1')
  await until(
    async () =>
      (await patient.resolver.resolve(nginx({ tag: 'kept' }), ALWAYS)).source === 'shared',
  )
  assert.equal((await patient.resolver.resolve(nginx({ tag: 'new' }), ALWAYS)).source, 'registry')
})

test('a password that is changed fails no pull, and the new one is read from its file', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const passwordFile = join(temporaryFolder(t), 'password')
  writeFileSync(passwordFile, 'first')
  await redis.command('config', 'set', 'requirepass', 'first')
  const fleet = await startFleet(t, redis.url, { fields: `, passwordFile: ${passwordFile}` })

  await storm(fleet, async () => {
    await moreShared(fleet)
    const as = ['--no-auth-warning', '-a', 'first']
    await redis.command(...as, 'config', 'set', 'requirepass', 'second')
    await redis.command('--no-auth-warning', '-a', 'second', 'client', 'kill', 'type', 'normal')
    await morePulls(fleet)
    writeFileSync(passwordFile, 'second')
    await moreShared(fleet)
  })

  requireTruth(fleet)
  const logged = fleet.members.flatMap((member) => member.logged).join()
  assert.ok(!/first|second/.test(logged), logged)
})

test('a store that answers after a second is left alone, and fails no pull', async (t) => {
  if (!requireRedis(t)) return
  const port = await reservePort(t)
  await startRedis(t, ['--port', String(port), '--bind', '127.0.0.1'])
  const way = await startWay(t, port)
  const limits = aClockWithLimits()
  const fleet = await startFleet(t, `redis://127.0.0.1:${way.port}`)
  const { clock } = limits
  const [other] = (await startFleet(t, `redis://127.0.0.1:${way.port}`, { clock }, [0])).members

  await storm(fleet, async () => {
    await moreShared(fleet)
    way.delayMs = 1_000
    await pullsAfterOneLimit(other, limits)
    await morePulls(fleet)
    way.delayMs = 0
    await moreShared(fleet)
  })

  requireTruth(fleet)
})

test('nodes whose clocks are an hour off share as before, and no answer is older than it says', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const hour = 3_600_000
  const fleet = await startFleet(t, redis.url, {}, [0, hour, -hour, 0])

  await storm(fleet, () => moreShared(fleet, 200))

  requireTruth(fleet)
  const [, late, early] = fleet.members
  const from = [late, early].map((member) => member?.metrics.shared.lookups.answer)
  assert.ok(
    from.every((count) => (count ?? 0) > 0),
    from.join(),
  )
})

test('a replica that sentinels promote is used by all nodes, and no pull fails meanwhile', async (t) => {
  if (!requireRedis(t)) return
  const [primaryPort, replicaPort] = [await reservePort(t), await reservePort(t)]
  const own = (port: number) => ['--port', String(port), '--bind', '127.0.0.1']
  const primary = await startRedis(t, own(primaryPort))
  const replica = await startRedis(t, [
    ...own(replicaPort),
    ...['--replicaof', '127.0.0.1', String(primaryPort), '--repl-diskless-sync-delay', '0'],
  ])
  await until(async () => (await replica.command('info')).includes('master_link_status:up'))
  const sentinel = await startSentinel(t, primaryPort, replica)
  const fleet = await startFleet(t, `redis+sentinel://127.0.0.1:${sentinel.port}/fleet`)

  await storm(fleet, async () => {
    await moreShared(fleet)
    await primary.kill()
    await until(async () => {
      await sentinel.failover()
      // A server whose role changes closes its connections.
      const role = await replica.command('role').catch(() => '')
      return role.startsWith('master')
    })
    await moreShared(fleet)
  })

  requireTruth(fleet)
})

/** A way to a port of this machine on which every answer takes as long as it is told. */
async function startWay(t: TestContext, port: number) {
  const way = { port: 0, delayMs: 0 }
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    near.pipe(far)
    far.on('data', (chunk: Buffer) => {
      if (way.delayMs === 0) near.write(chunk)
      else setTimeout(() => near.writable && near.write(chunk), way.delayMs)
    })
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
  })
  const { port: own } = await listen(t, server)
  way.port = own
  return way
}

async function startSentinel(t: TestContext, primaryPort: number, replica: Redis) {
  const port = await reservePort(t)
  const file = join(temporaryFolder(t), 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `sentinel monitor fleet 127.0.0.1 ${primaryPort} 1`,
    'sentinel down-after-milliseconds fleet 2000',
    'sentinel failover-timeout fleet 10000',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const program: Program = startProgram('redis-server', [file, '--sentinel'])
  t.after(() => program.stop())
  await program.line(/\+monitor master fleet/)
  await program.line(/\+slave slave/)
  assert.ok(replica.program.running())
  const failover = async () => {
    await runProgram('redis-cli', ['-p', String(port), 'sentinel', 'failover', 'fleet'])
  }
  return { port, failover }
}
