import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ResolveError } from '../../src/errors.ts'
import { askInOrder, type Found } from '../../src/resolver/failover.ts'
import { ResolveTrace } from '../../src/resolver/trace.ts'
import type { Candidate } from '../../src/resolver/types.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { candidate, FakeHealth } from '../support/resolver.ts'

const LIMITS = { hedgeDelayMs: 300, probeBudgetMs: 2_000 }
const TOTAL_MS = 20_000

interface Play {
  readonly outcome: 'ok' | 'fail' | 'never'
  readonly delayMs: number
  readonly standing: 'well' | 'resting' | 'parked'
  readonly isPrivate: boolean
  /** How long a HEAD takes there, where it is a hedge. */
  readonly headMs: number
}

const plays = fc.array(
  fc.record<Play>({
    outcome: fc.constantFrom('ok', 'fail', 'never'),
    delayMs: fc.integer({ min: 0, max: 5_000 }),
    standing: fc.constantFrom('well', 'well', 'well', 'resting', 'parked'),
    isPrivate: fc.boolean(),
    headMs: fc.integer({ min: 0, max: 5_000 }),
  }),
  { minLength: 1, maxLength: 6 },
)

interface Course {
  readonly outcome: Found<number> | ResolveError
  readonly told: readonly string[]
  /** When each candidate was asked, in milliseconds from the beginning. */
  readonly asked: ReadonlyMap<number, number>
  /** When a candidate was asked beside another one, for no more than a HEAD. */
  readonly hedged: ReadonlyMap<number, number>
  readonly endedAfterMs: number
  readonly timersLeft: number
  readonly open: number
}

async function run(cast: readonly Play[]): Promise<Course> {
  const clock = new FakeClock()
  const health = new FakeHealth()
  const total = new AbortController()
  const begun = clock.now()
  const asked = new Map<number, number>()
  const hedged = new Map<number, number>()
  let open = 0
  cast.forEach(({ standing }, index) => {
    if (standing === 'resting') health.resting.add(String(index))
    if (standing === 'parked') health.quiet.add(String(index))
  })
  const cancelTotal = clock.after(TOTAL_MS, () =>
    total.abort(new ResolveError('DEADLINE_EXCEEDED', 'out of time')),
  )
  let ended = Number.NaN
  const candidates = cast.map(({ isPrivate }, index) => candidate(String(index), { isPrivate }))
  const trace = new ResolveTrace<number>('nginx', candidates, health, clock)
  const walking = askInOrder(
    candidates,
    async ({ registry }, { signal }, promoted) => {
      const index = Number(registry)
      const { outcome, delayMs } = cast[index] as Play
      if (promoted !== undefined) {
        hedged.set(index, clock.now() - begun)
        const { headMs } = cast[index] as Play
        await new Promise<void>((resolve, reject) => {
          const cancel = clock.after(headMs, resolve)
          signal.addEventListener('abort', () => {
            cancel()
            reject(new ResolveError('CANCELED', 'aborted'))
          })
        })
        trace.of(candidates[index] as Candidate).observer()({
          method: 'HEAD',
          url: `https://${registry}/`,
          status: 200,
          ms: headMs,
        })
        await promoted()
      }
      asked.set(index, clock.now() - begun)
      open += 1
      return new Promise<number>((resolve, reject) => {
        let isOpen = true
        const close = (settle: () => void) => () => {
          if (isOpen) open -= 1
          isOpen = false
          settle()
        }
        const cancel =
          outcome === 'never'
            ? () => {}
            : clock.after(
                delayMs,
                close(() => {
                  if (outcome === 'ok') resolve(index)
                  else reject(new ResolveError('UNAVAILABLE', 'broken'))
                }),
              )
        signal.addEventListener(
          'abort',
          close(() => {
            cancel()
            reject(new ResolveError('CANCELED', 'aborted'))
          }),
        )
      })
    },
    { limits: LIMITS, trace, clock, signal: total.signal },
  ).then(
    (found) => found,
    (error: unknown) => error as ResolveError,
  )
  const outcome = walking.then((result) => {
    ended = clock.now() - begun
    cancelTotal()
    return result
  })
  await clock.advance(TOTAL_MS + 1)
  return {
    outcome: await outcome,
    told: trace.attempts.map(({ registry }) => registry),
    asked,
    hedged,
    endedAfterMs: ended,
    timersLeft: clock.pendingTimers,
    open,
  }
}

test('every walk ends in time, leaves nothing running, and asks each candidate once at most', async () => {
  await fc.assert(
    fc.asyncProperty(plays, async (cast) => {
      const { told, endedAfterMs, timersLeft, open } = await run(cast)

      assert.ok(endedAfterMs <= TOTAL_MS)
      assert.equal(timersLeft, 0)
      assert.equal(open, 0)
      assert.equal(new Set(told).size, told.length)
    }),
    { numRuns: 150 },
  )
})

test('the answer is that of its candidate, and no better one came within its budget', async () => {
  await fc.assert(
    fc.asyncProperty(plays, async (cast) => {
      const { outcome, asked, endedAfterMs } = await run(cast)
      if (outcome instanceof ResolveError) return

      const winner = outcome.value
      assert.equal(cast[winner]?.outcome, 'ok')
      for (const [index, at] of asked) {
        const { outcome: play, delayMs } = cast[index] as Play
        const inBudget = play === 'ok' && delayMs < LIMITS.probeBudgetMs
        if (inBudget && at + delayMs < endedAfterMs)
          assert.ok(winner <= index, `${index} was better`)
      }
    }),
    { numRuns: 150 },
  )
})

test('a failover fails only when no candidate has an answer in time', async () => {
  await fc.assert(
    fc.asyncProperty(plays, async (cast) => {
      const { outcome, asked } = await run(cast)
      if (!(outcome instanceof ResolveError)) return

      for (const [index, at] of asked) {
        const { outcome: play, delayMs, standing } = cast[index] as Play
        const limitMs = standing === 'resting' ? LIMITS.probeBudgetMs : TOTAL_MS - at
        assert.ok(play !== 'ok' || delayMs >= limitMs, `${index} had an answer`)
      }
      cast.forEach(({ standing }, index) => {
        if (standing === 'well') assert.ok(asked.has(index), `${index} was not asked`)
        if (standing === 'parked') assert.ok(!asked.has(index), `${index} was to be left alone`)
      })
    }),
    { numRuns: 150 },
  )
})

test('while a better candidate is inside its budget others get a HEAD only, and only private ones', async () => {
  await fc.assert(
    fc.asyncProperty(plays, async (cast) => {
      const { asked, hedged, endedAfterMs } = await run(cast)

      for (const [index] of hedged) assert.ok(cast[index]?.isPrivate, `${index} counts requests`)
      for (const [index, at] of asked) {
        for (const [better, since] of asked) {
          if (better >= index || cast[better]?.standing === 'resting') continue
          const { outcome, delayMs, headMs } = cast[better] as Play
          // Its budget was over before it was asked for more.
          if (hedged.has(better) && headMs >= LIMITS.probeBudgetMs) continue
          const untilMs = outcome === 'never' ? Number.POSITIVE_INFINITY : since + delayMs
          const awaitedMs = Math.min(untilMs, since + LIMITS.probeBudgetMs, endedAfterMs)
          assert.ok(
            at >= awaitedMs,
            `${index} at ${at}, ${better} was waited for until ${awaitedMs}`,
          )
        }
      }
    }),
    { numRuns: 150 },
  )
})
