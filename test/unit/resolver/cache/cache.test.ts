import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../../src/errors.ts'
import { type CacheLimits, ResolutionCache } from '../../../../src/resolver/cache/cache.ts'
import { keyOf, learnDigest, learnTag } from '../../../support/cache.ts'
import { AMD64, digestOf, identity } from '../../../support/resolver.ts'

const LIMITS = { size: 10, tagTtlMs: 60_000, keepMs: 600_000, staleIfErrorMs: 3_600_000 }
const BEGIN = 1_000_000

function clocked(limits: Partial<CacheLimits> = {}) {
  const clock = { ms: BEGIN, steady: 0 }
  const cache = new ResolutionCache(
    { ...LIMITS, ...limits },
    () => clock.ms,
    () => clock.steady,
  )
  const pass = (ms: number): void => {
    clock.ms += ms
    clock.steady += ms
  }
  return { cache, clock, pass, learn: (tag?: string) => learnTag(cache, clock.ms, tag) }
}

function notFound(code: 'MANIFEST_UNKNOWN' | 'PLATFORM_UNKNOWN' = 'MANIFEST_UNKNOWN') {
  return new ResolveError(code, 'nginx:latest: hub.corp: not there', {
    attempts: [{ registry: 'hub.corp', step: 'manifest', outcome: 'not_found', ms: 5 }],
    cause: new Error('a body'),
  })
}

test("a tag's answer is fresh until its TTL is over", () => {
  const { cache, pass, learn } = clocked()
  const key = learn()
  const known = cache.resolution(key)
  assert.ok(known)

  pass(59_999)
  assert.ok(cache.isFresh(known))
  pass(1)
  assert.ok(!cache.isFresh(known))
})

test("a digest's answer is fresh for ever, and never worth a refresh", () => {
  const { cache, clock, pass } = clocked()
  const key = learnDigest(cache, clock.ms, 'nginx')

  pass(1e12)

  const known = cache.resolution(key)
  assert.ok(known && cache.isFresh(known) && cache.staleAllowed(known))
  assert.ok(!cache.wantsRefresh(key, known))
})

test('an old answer is kept as long as it may be revalidated or given stale', () => {
  const { cache, pass, learn } = clocked({ keepMs: 600_000, staleIfErrorMs: 300_000 })
  const key = learn()

  pass(600_000)
  assert.ok(cache.resolution(key))
  pass(1)
  assert.equal(cache.resolution(key), undefined)
})

test('an answer may be given stale for so long and no longer', () => {
  const { cache, pass, learn } = clocked({ staleIfErrorMs: 3_600_000 })
  const key = learn()

  pass(3_599_999)
  const known = cache.resolution(key)
  assert.ok(known && cache.staleAllowed(known))
  pass(1)
  assert.ok(!cache.staleAllowed(known))
})

test('nothing is given stale when that is turned off', () => {
  const { cache, learn } = clocked({ staleIfErrorMs: 0 })
  const key = learn()

  const known = cache.resolution(key)

  assert.ok(known && !cache.staleAllowed(known))
})

test('what a digest is is known for the platform that was asked for', () => {
  const { cache, learn } = clocked()
  learn('latest')

  assert.deepEqual(cache.identity(identity('latest').digest, AMD64), identity('latest'))
  assert.equal(
    cache.identity(identity('latest').digest, { os: 'linux', architecture: 'arm64' }),
    undefined,
  )
  assert.equal(cache.identity(digestOf('another'), AMD64), undefined)
})

test('what no registry has is believed for its TTL, without the cause', () => {
  const { cache, pass } = clocked()
  const key = keyOf('docker.io/library/nginx:latest')

  cache.rememberFailure(key, notFound())

  pass(9_999)
  const failure = cache.failure(key)
  assert.equal(failure?.code, 'MANIFEST_UNKNOWN')
  assert.equal(failure.message, 'nginx:latest: hub.corp: not there')
  assert.deepEqual(failure.attempts, notFound().attempts)
  assert.equal(failure.cause, undefined)
  pass(1)
  assert.equal(cache.failure(key), undefined)
})

test('what no registry has any more is not given stale later', () => {
  const { cache, learn } = clocked()
  const key = learn()

  cache.rememberFailure(key, notFound('PLATFORM_UNKNOWN'))

  assert.equal(cache.resolution(key), undefined)
})

test('a digest that no registry has is the same image all the same', () => {
  const { cache, clock } = clocked()
  const key = learnDigest(cache, clock.ms, 'nginx')

  cache.rememberFailure(key, notFound())

  assert.ok(cache.resolution(key))
})

test('an answer takes the place of a failure', () => {
  const { cache, learn } = clocked()
  cache.rememberFailure(keyOf('docker.io/library/nginx:latest'), notFound())

  const key = learn()

  assert.equal(cache.failure(key), undefined)
})

test('a negative TTL of 0 believes nothing', () => {
  const { cache } = clocked({ negativeTtlMs: 0 })

  cache.rememberFailure('key', notFound())

  assert.equal(cache.failure('key'), undefined)
})

test('a tag that is asked for often is worth a refresh at the end of its TTL, once', () => {
  const { cache, pass, learn } = clocked()
  const key = learn()
  const ask = (): boolean => {
    const known = cache.resolution(key)
    return known !== undefined && cache.wantsRefresh(key, known)
  }

  pass(47_999)
  assert.deepEqual([ask(), ask(), ask()], [false, false, false])
  pass(1)
  assert.deepEqual([ask(), ask()], [true, false])
})

test('after its answer was learned anew a tag has to be asked for often again', () => {
  const { cache, pass, learn } = clocked()
  const key = learn()
  for (let asked = 0; asked < 9; asked += 1) cache.resolution(key)
  pass(50_000)
  learn()
  pass(50_000)

  const wants = [1, 2, 3].map(() => {
    const known = cache.resolution(key)
    return known !== undefined && cache.wantsRefresh(key, known)
  })

  assert.deepEqual(wants, [false, false, true])
})

test('a tag that is hardly asked for is left to expire', () => {
  const { cache, pass, learn } = clocked()
  const key = learn()
  pass(59_000)

  const known = cache.resolution(key)

  assert.ok(known && !cache.wantsRefresh(key, known))
})

test('a clock that is set back makes no answer last longer', () => {
  const { cache, clock, pass, learn } = clocked()
  const key = learn()
  cache.rememberFailure('absent', notFound())
  pass(5_000)
  cache.resolution(key)

  clock.ms -= 3_600_000
  const known = cache.resolution(key)
  assert.ok(known && cache.isFresh(known))
  pass(5_000)
  assert.equal(cache.failure('absent'), undefined)
  pass(49_999)
  assert.ok(cache.isFresh(known))
  pass(1)
  assert.ok(!cache.isFresh(known))
})

test('an answer that comes from the future is neither fresh nor stale, only a place to begin', () => {
  const { cache, clock } = clocked()
  const key = learnTag(cache, clock.ms + 5_000)

  const known = cache.resolution(key)

  assert.ok(known)
  assert.ok(!cache.isFresh(known) && !cache.staleAllowed(known))
})

test('events are counted, and entries as they are now', () => {
  const { cache, learn } = clocked({ size: 2 })

  cache.counted('hit')
  cache.counted('hit')
  cache.counted('coalesced')
  for (const tag of ['a', 'b', 'c']) learn(tag)
  for (const key of ['x', 'y', 'z']) cache.rememberFailure(key, notFound())

  assert.deepEqual(cache.counts(), {
    hit: 2,
    miss: 0,
    coalesced: 1,
    stale: 0,
    negative: 0,
    revalidated: 0,
    // Of each kind one.
    evicted: 3,
    entries: { where: 2, what: 2, negative: 2 },
  })
})

test('an answer that is learned anew is not counted as evicted', () => {
  const { cache, learn } = clocked()

  learn()
  learn()

  assert.equal(cache.counts().evicted, 0)
})

test('a cache of size 0 remembers nothing', () => {
  const before = clocked()
  before.learn()
  const { cache, learn } = clocked({ size: 0 })

  const key = learn()
  cache.rememberFailure('absent', notFound())
  cache.restore(before.cache.content())

  assert.equal(cache.resolution(key), undefined)
  assert.equal(cache.identity(identity('latest').digest, AMD64), undefined)
  assert.equal(cache.failure('absent'), undefined)
  assert.deepEqual(cache.counts().entries, { where: 0, what: 0, negative: 0 })
  assert.deepEqual([...cache.content().where, ...cache.content().what], [])
})

test('what is worth keeping is given with the most recently used first', () => {
  const { cache, pass, learn } = clocked()
  learn('too-old')
  pass(3_600_001)
  const [first, second] = [learn('first'), learn('second')]
  cache.resolution(first)

  const { where } = cache.content()

  assert.deepEqual(
    [...where].map(([key]) => key),
    [first, second],
  )
})

test('what is forgotten while the content is read is left out of it', () => {
  const { cache, learn } = clocked({ size: 2 })
  const [first, second] = [learn('first'), learn('second')]
  const { where, what } = cache.content()
  const seen: string[] = []

  for (const [key] of where) {
    seen.push(key)
    if (key === second) learn('third')
  }

  assert.ok(first)
  assert.deepEqual(seen, [second])
  assert.deepEqual(
    [...what].map(({ identity: { digest } }) => digest),
    [identity('third').digest, identity('second').digest],
  )
})

test('other limits hold for what is known already', () => {
  const { cache, learn } = clocked({ size: 10 })
  const keys = ['a', 'b', 'c'].map((tag) => learn(tag))

  cache.reconfigure({ ...LIMITS, size: 2, tagTtlMs: 30_000 })

  const expiries = keys.map((key) => cache.resolution(key)?.expiresAt)
  assert.deepEqual(expiries, [undefined, BEGIN + 30_000, BEGIN + 30_000])
  assert.equal(cache.expiry(false), BEGIN + 30_000)
})

test('a cache is turned off and on again', () => {
  const { cache, learn } = clocked()
  learn()

  cache.reconfigure({ ...LIMITS, size: 0 })
  const off = cache.resolution(learn())
  cache.reconfigure(LIMITS)
  const on = cache.resolution(learn())

  assert.equal(off, undefined)
  assert.ok(on)
})

test('the same limits change nothing', () => {
  const { cache } = clocked()
  cache.rememberFailure('absent', notFound())

  cache.reconfigure({ ...LIMITS, negativeTtlMs: 10_000 })

  assert.ok(cache.failure('absent'))
})

test('restored answers keep their times, and what this run learned stays', () => {
  const before = clocked()
  const old = before.learn('old')
  const both = before.learn('both')
  const { cache, clock, learn } = clocked()
  clock.ms += 30_000
  learn('both')

  cache.restore(before.cache.content())

  assert.equal(cache.resolution(old)?.resolvedAt, BEGIN)
  assert.equal(cache.resolution(old)?.expiresAt, BEGIN + 60_000)
  assert.equal(cache.resolution(both)?.resolvedAt, BEGIN + 30_000)
  assert.deepEqual(cache.identity(identity('old').digest, AMD64), identity('old'))
})

test('a restored answer is not fresh for longer than the TTL of now', () => {
  const before = clocked({ tagTtlMs: 600_000 })
  const key = before.learn()
  const { cache } = clocked({ tagTtlMs: 60_000 })

  cache.restore(before.cache.content())

  assert.equal(cache.resolution(key)?.expiresAt, BEGIN + 60_000)
})

test('a restored answer that is too old is left out', () => {
  const before = clocked()
  before.learn()
  const { cache, clock } = clocked()
  clock.ms += 3_600_001

  cache.restore(before.cache.content())

  assert.equal(cache.counts().entries.where, 0)
})

test('restoring keeps the order of use', () => {
  const before = clocked({ size: 3 })
  const keys = ['a', 'b', 'c'].map((tag) => before.learn(tag))
  const { cache, learn } = clocked({ size: 3 })
  cache.restore(before.cache.content())

  learn('d')

  assert.equal(cache.resolution(keys[0] ?? ''), undefined)
  assert.ok(cache.resolution(keys[1] ?? ''))
})

test('every change is noticed, and looking is none', () => {
  const { cache, learn } = clocked()
  const changes: number[] = [cache.changes]

  const key = learn()
  changes.push(cache.changes)
  cache.resolution(key)
  cache.rememberFailure('another', notFound())
  changes.push(cache.changes)
  cache.rememberFailure(key, notFound())
  changes.push(cache.changes)

  assert.deepEqual(changes, [0, 1, 1, 2])
})
