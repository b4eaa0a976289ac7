import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lineup } from '../../../src/resolver/lineup.ts'
import { WalkRecord } from '../../../src/resolver/record.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { candidate, FakeHealth } from '../../support/resolver.ts'

function scene(...names: string[]) {
  const health = new FakeHealth()
  const candidates = names.map((name) => candidate(name))
  const lineup = new Lineup(candidates, new WalkRecord(candidates, health, new FakeClock()))
  return { health, lineup }
}

test('candidates come in their order, and each once', () => {
  const { lineup } = scene('m1', 'm2')

  const hadMore = lineup.hasMore
  const all = [lineup.next(), lineup.next(), lineup.next()]

  assert.deepEqual(all, [0, 1, undefined])
  assert.deepEqual([hadMore, lineup.hasMore], [true, false])
})

test('those that rest come last of all, those that asked for a pause never', () => {
  const { health, lineup } = scene('rests', 'parked', 'well')
  health.resting.add('rests')
  health.quiet.add('parked')

  const all = [lineup.next(), lineup.next()]

  assert.deepEqual(all, [2, undefined])
  assert.deepEqual([lineup.lastResort(), lineup.lastResort()], [0, undefined])
})

test('one that is passed over later is a last resort too', () => {
  const { lineup } = scene('m1', 'm2')
  lineup.next()

  lineup.passOver(0)

  assert.equal(lineup.next(), 1)
  assert.equal(lineup.lastResort(), 0)
})
