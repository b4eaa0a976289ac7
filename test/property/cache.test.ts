import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ResolveError } from '../../src/errors.ts'
import { ResolutionCache } from '../../src/resolver/cache/cache.ts'
import { ContentReader, contentLines } from '../../src/resolver/cache/snapshot-lines.ts'
import { contentOf, keyOf, resolutionOf, scopeOf } from '../support/cache.ts'
import { AMD64, identity, nginx } from '../support/resolver.ts'

const LIMITS = {
  size: 3,
  tagTtlMs: 60_000,
  keepMs: 300_000,
  negativeTtlMs: 10_000,
  staleIfErrorMs: 600_000,
}
/** A clock may be set back by so little without being noticed. */
const UNNOTICED_MS = 100
const TAGS = ['a', 'b', 'c', 'd']

interface Act {
  readonly does: 'learn' | 'lose' | 'ask'
  readonly tag: string
}

interface Time {
  readonly does: 'pass' | 'set'
  readonly ms: number
}

const tag = fc.constantFrom(...TAGS)
const pass = fc.record<Time>({
  does: fc.constant('pass'),
  ms: fc.oneof(
    fc.nat({ max: 700_000 }),
    // Where a TTL ends is where mistakes are.
    fc.constantFrom(...[10_000, 60_000, 300_000, 600_000].flatMap((ms) => [ms - 1, ms, ms + 1])),
  ),
})
const act = fc.record<Act>({ does: fc.constantFrom('learn', 'lose', 'ask', 'ask', 'ask'), tag })
const set = fc.record<Time>({
  does: fc.constant('set'),
  ms: fc.oneof(fc.integer({ min: -7_200_000, max: 7_200_000 }), fc.integer({ min: -90, max: 90 })),
})

function steps(...kinds: fc.Arbitrary<Act | Time>[]): fc.Arbitrary<readonly (Act | Time)[]> {
  return fc.array(fc.oneof(...kinds), { maxLength: 60, size: 'max' })
}

interface Truth {
  readonly seed: string
  /** Of the clock that nobody sets. */
  readonly at: number
}

/** Plays the steps to a cache and holds every answer against what really happened. */
class Play {
  readonly #cache: ResolutionCache
  readonly #slackMs: number
  readonly #learned = new Map<string, Truth>()
  readonly #lost = new Map<string, Truth>()
  #wall = 1_700_000_000_000
  #steady = 0
  #seeds = 0
  answered = 0

  constructor(slackMs: number, size: number) {
    this.#slackMs = slackMs
    this.#cache = new ResolutionCache(
      { ...LIMITS, size },
      () => this.#wall,
      () => this.#steady,
    )
  }

  step(step: Act | Time): void {
    if ('ms' in step) {
      this.#wall += step.ms
      if (step.does === 'pass') this.#steady += step.ms
    } else if (step.does === 'learn') this.#learn(step.tag)
    else if (step.does === 'lose') this.#lose(step.tag)
    else this.#ask(step.tag)
  }

  #learn(of: string): void {
    this.#seeds += 1
    const image = identity(`seed ${this.#seeds}`)
    const times = { resolvedAt: this.#wall, expiresAt: this.#cache.expiry(false) }
    this.#cache.remember(of, resolutionOf(nginx({ tag: of }), image, times), image, AMD64)
    this.#learned.set(of, { seed: image.digest, at: this.#steady })
    this.#lost.delete(of)
  }

  #lose(of: string): void {
    this.#seeds += 1
    const message = `seed ${this.#seeds}`
    const attempts = [{ registry: 'a', step: 'manifest', outcome: 'not_found', ms: 1 }] as const
    this.#cache.rememberFailure(of, new ResolveError('MANIFEST_UNKNOWN', message, { attempts }))
    this.#lost.set(of, { seed: message, at: this.#steady })
    this.#learned.delete(of)
  }

  #ask(of: string): void {
    const found = this.#cache.resolution(of)
    const failure = this.#cache.failure(of)
    if (found !== undefined) {
      const ageMs = this.#ageMs(this.#learned.get(of), found.digest)
      assert.ok(ageMs <= LIMITS.staleIfErrorMs + this.#slackMs, `kept for ${ageMs} ms`)
      if (this.#cache.isFresh(found)) {
        this.answered += 1
        assert.ok(ageMs < LIMITS.tagTtlMs + this.#slackMs, `fresh for ${ageMs} ms`)
      }
      if (this.#cache.staleAllowed(found)) {
        assert.ok(ageMs < LIMITS.staleIfErrorMs + this.#slackMs, `stale for ${ageMs} ms`)
      }
    }
    if (failure !== undefined) {
      const ageMs = this.#ageMs(this.#lost.get(of), failure.message)
      assert.ok(ageMs < LIMITS.negativeTtlMs + this.#slackMs, `negative for ${ageMs} ms`)
    }
  }

  /** What is expected of a clock that nobody sets, and a cache with room for all. */
  expectKnown(): void {
    for (const [of, { seed, at }] of this.#learned) {
      const ageMs = this.#steady - at
      const found = this.#cache.resolution(of)
      assert.equal(found?.digest, ageMs <= LIMITS.staleIfErrorMs ? seed : undefined)
      if (found !== undefined) {
        assert.equal(this.#cache.isFresh(found), ageMs < LIMITS.tagTtlMs)
        assert.equal(this.#cache.staleAllowed(found), ageMs < LIMITS.staleIfErrorMs)
      }
    }
    for (const [of, { seed, at }] of this.#lost) {
      const believed = this.#steady - at < LIMITS.negativeTtlMs
      assert.equal(this.#cache.failure(of)?.message, believed ? seed : undefined)
    }
  }

  #ageMs(truth: Truth | undefined, seed: string): number {
    assert.equal(seed, truth?.seed, 'what was said last')
    return this.#steady - (truth?.at ?? Number.NaN)
  }
}

test('no answer outlives its TTLs, however clocks are set and whatever falls out for want of room', () => {
  let answered = 0
  fc.assert(
    fc.property(steps(pass, act, act, set), (course) => {
      const play = new Play(UNNOTICED_MS, 3)
      for (const step of course) play.step(step)
      answered += play.answered
    }),
    { numRuns: 500 },
  )
  assert.ok(answered > 100, `${answered} answers were looked at`)
})

test('every answer lasts exactly as long as its TTLs, where no clock is set', () => {
  fc.assert(
    fc.property(steps(pass, act, act), (course) => {
      const play = new Play(0, TAGS.length)
      for (const step of course) {
        play.step(step)
        play.expectKnown()
      }
    }),
    { numRuns: 300 },
  )
})

test('an answer ends when it would have, though the service was restarted meanwhile', () => {
  const moments = fc.array(fc.nat({ max: 200_000 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(moments, (waits) => {
      let now = 1_700_000_000_000
      const fresh = (): ResolutionCache => new ResolutionCache(LIMITS, () => now)
      let cache = fresh()
      const image = identity('nginx')
      const key = keyOf('docker.io/library/nginx:latest')
      const times = { resolvedAt: now, expiresAt: cache.expiry(false) }
      const learned = resolutionOf(nginx(), image, times)
      cache.remember(key, learned, image, AMD64)

      for (const waitMs of waits) {
        const scope = scopeOf()
        const reader = new ContentReader(scope, { format: '', version: 1, configuration: 'one' })
        for (const line of contentLines(cache.content(), scope)) {
          assert.ok(line === undefined || reader.read(line))
        }
        now += waitMs
        cache = fresh()
        cache.restore(reader.content)

        const ageMs = now - learned.resolvedAt
        const found = cache.resolution(key)
        assert.deepEqual(found, ageMs <= LIMITS.staleIfErrorMs ? learned : undefined)
        assert.equal(found !== undefined && cache.isFresh(found), ageMs < LIMITS.tagTtlMs)
        assert.ok(ageMs > LIMITS.staleIfErrorMs || cache.identity(image.digest, AMD64))
      }
    }),
  )
})

test('no line of a snapshot, whatever it holds, is more than refused', () => {
  const [valid = ''] = contentLines(contentOf(1), scopeOf())
  const broken = fc
    .tuple(fc.nat({ max: valid.length }), fc.nat({ max: 20 }), fc.string({ maxLength: 5 }))
    .map(([at, length, text]) => valid.slice(0, at) + text + valid.slice(at + length))
  const strange = fc.oneof(
    fc.string(),
    fc.json(),
    fc.anything().map((value) => JSON.stringify({ where: value, what: value }) ?? ''),
    broken,
  )
  fc.assert(
    fc.property(strange, (line) => {
      const reader = new ContentReader(scopeOf(), { format: '', version: 1, configuration: 'one' })

      const isEntry = reader.read(line)

      const again = [...contentLines(reader.content, scopeOf())].filter(
        (each) => each !== undefined,
      )
      assert.equal(again.length, isEntry ? 1 : 0)
    }),
    { numRuns: 1_000 },
  )
})
