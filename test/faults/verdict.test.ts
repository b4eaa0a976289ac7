import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toResolveError } from '../../src/errors.ts'
import type { Resolution } from '../../src/resolver/types.ts'
import { FAULTS } from './fault-list.ts'
import { measureAll } from './measure.ts'
import type { Row } from './row.ts'
import { budgetMs, judge, judgeTimes } from './verdict.ts'

const WRONG: Readonly<Record<string, (row: Row) => Partial<Row>>> = {
  'a secret at a wrong host': () => ({ leaks: ['user:password at a, it'] }),
  'a digest that nobody may say': ({ ended }) => ({
    ended: { ...(ended as Resolution), digest: `sha256:${'0'.repeat(64)}` },
  }),
  'an answer of somebody else': ({ ended }) => ({
    ended: { ...(ended as Resolution), registry: 'other' },
  }),
  'a failure where somebody has the image': () => ({ ended: toResolveError(new Error('no')) }),
  'a request too many': ({ sent }) => ({ sent: sent + 1 }),
  'a request to who is known to fail': ({ again }) =>
    again ? { again: { ...again, sent: 1 } } : {},
}
const SLOW: typeof WRONG = {
  'a row beyond its budget': (row) => ({ ms: budgetMs(row) + 1 }),
  'a dead registry that costs time again': ({ again }) =>
    again ? { again: { ...again, ms: again.healthyMs + 6 } } : {},
}

test('the judge of the fault table finds', async (t) => {
  const faults = FAULTS.filter(({ name }) => name === 'answers 500')
  const rows = await measureAll({ faults, isTimed: false })
  const seen = rows.find(({ place }) => place === 'first')
  assert.ok(seen)
  const row = { ...seen, ms: 1, again: { ms: 1, healthyMs: 1, sent: 0, ends: [seen.ended] } }
  judge(row)
  judgeTimes(row)

  for (const [name, change] of Object.entries(WRONG)) {
    await t.test(name, () => assert.throws(() => judge({ ...row, ...change(row) })))
  }
  for (const [name, change] of Object.entries(SLOW)) {
    await t.test(name, () => assert.throws(() => judgeTimes({ ...row, ...change(row) })))
  }
})
