import assert from 'node:assert/strict'
import { ResolveError } from '../../src/errors.ts'
import type { Resolution } from '../../src/resolver/types.ts'
import { GOOD } from './fault.ts'
import { type Again, REMEMBERED_MS, type Row } from './row.ts'
import type { Place } from './scene.ts'

/** The budgets by default, and of the registry client, in milliseconds. */
const PROBE_MS = 2_000
const ATTEMPT_MS = 10_000
const HEDGE_MS = 300
/** What a registry that fails at once may cost. */
const SLACK_MS = 1_000
/** What a machine makes of a budget, beside that. */
const STRETCH = 1.25

/** How long a row may take, ms. */
export function budgetMs({ fault, place }: Pick<Row, 'fault' | 'place'>): number {
  if (!fault.slow) return SLACK_MS
  const waits: Record<Place, number> = {
    first: PROBE_MS,
    middle: PROBE_MS,
    last: ATTEMPT_MS,
    alone: ATTEMPT_MS,
    'all three': ATTEMPT_MS + 2 * HEDGE_MS,
  }
  return waits[place] * STRETCH + SLACK_MS
}

/** Throws what is wrong with a row, its times aside, which belong to a machine with nothing else to do. */
export function judge(row: Row): void {
  const { again, ended, fault, leaks, sent } = row
  assert.deepEqual(leaks, [], 'secrets are where they do not belong')
  if (fault.code === undefined) judgeAnswer(ended, row.scene.sick[0], fault.digest)
  else judgeEnd(ended, fault.code, row.scene.helper)
  judgeAttempts(row)
  if (!isHedged(row)) assert.equal(sent, expectedRequests(row), 'requests to those that fail')
  if (again !== undefined) judgeAgain(again, row)
}

/** Throws what took too long in a row. */
export function judgeTimes(row: Row): void {
  const { again, ms } = row
  assert.ok(ms <= budgetMs(row), `${Math.round(ms)} ms, of ${budgetMs(row)}`)
  if (again === undefined) return
  const extraMs = again.ms - again.healthyMs
  assert.ok(extraMs <= REMEMBERED_MS, `${extraMs.toFixed(1)} ms more than without it`)
}

/** Beside one that answers, but slowly, the next ones of its kind are asked by HEAD meanwhile. */
function isHedged({ fault, scene }: Row): boolean {
  return fault.slow === true && fault.code === undefined && scene.sick.length > 1
}

function expectedRequests({ fault, scene }: Row): number {
  if (fault.code === undefined) return fault.sent
  // Whoever was never asked before is asked without credentials first.
  const others = fault.sent + (fault.asks === 'known' ? 1 : 0)
  return fault.sent + others * (scene.sick.length - 1)
}

function judgeAnswer(
  ended: Row['ended'],
  registry: string | undefined,
  digest = GOOD.digest,
): asserts ended is Resolution {
  if (ended instanceof ResolveError) throw ended
  assert.equal(ended.digest, digest)
  assert.equal(ended.registry, registry)
  assert.equal(ended.source, 'registry')
  for (const { reference } of ended.references) {
    assert.ok(!reference.includes('@') || reference.endsWith(digest), reference)
  }
}

/** Somebody else answers, or nobody can. */
function judgeEnd(ended: Row['ended'], code: string | undefined, helper: string | undefined): void {
  if (helper !== undefined) judgeAnswer(ended, helper)
  else assert.equal(ended instanceof ResolveError ? ended.code : ended.registry, code)
}

function judgeAttempts(row: Row): void {
  const { ended, fault, scene } = row
  const sick = isHedged(row) ? scene.sick.slice(0, 1) : scene.sick
  const told = ended.attempts.filter(({ registry }) => sick.includes(registry))
  const those = fault.code === undefined ? scene.sick.slice(0, 1) : scene.sick
  assert.deepEqual(
    told.map(({ outcome }) => outcome),
    those.map(() => fault.outcome),
  )
}

function judgeAgain({ ends, sent }: Again, { fault, scene }: Row): void {
  assert.equal(sent, 0, 'requests to those that are known to fail')
  for (const ended of ends) judgeEnd(ended, fault.code, scene.helper)
}
