import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AttackOutcome, lastingProblemsOf, problemsOf } from './attack.ts'
import { attacks as criAttacks } from './cri.ts'
import { attacks as httpAttacks } from './http.ts'
import { runAttack } from './scene.ts'

for (const attack of [...httpAttacks, ...criAttacks]) {
  test(`survives ${attack.name}`, { timeout: 240_000 }, async () => {
    const outcome = await runAttack(attack, true)

    assert.deepEqual(lastingProblemsOf(outcome), [], JSON.stringify(outcome))
  })
}

const survived: AttackOutcome = {
  beforeRssMiB: 60,
  peakRssMiB: 120,
  afterRssMiB: 80,
  quietP99Ms: 2,
  goodP99Ms: 900,
  ownP99Ms: 90,
  runtimeP99Ms: 0,
  goodCalls: 100,
  goodFailed: 0,
  beforeLiveMiB: 15,
  afterLiveMiB: 17,
  alive: true,
}

for (const [what, change] of [
  ['a process that died', { alive: false }],
  ['more than 200 MiB', { peakRssMiB: 201 }],
  ['memory that does not come back', { afterRssMiB: 111 }],
  ['memory that is still in use', { afterLiveMiB: 24 }],
  ['a good client that waits', { ownP99Ms: 101 }],
  ['a good client without an answer', { goodCalls: 0 }],
  ['a good client whose calls fail', { goodFailed: 1 }],
] as const) {
  test(`calls ${what} an attack that was not survived`, () => {
    assert.equal(problemsOf(survived).length, 0)
    assert.equal(problemsOf({ ...survived, ...change }).length, 1)
  })
}

test('asks for no times where only what lasts counts', () => {
  assert.deepEqual(lastingProblemsOf({ ...survived, ownP99Ms: 10_000 }), [])
  assert.equal(lastingProblemsOf({ ...survived, alive: false, ownP99Ms: 10_000 }).length, 1)
})

test('does not blame an attack for a runtime that is slow by itself', () => {
  assert.deepEqual(problemsOf({ ...survived, runtimeP99Ms: 50, ownP99Ms: 190 }), [])
  assert.equal(problemsOf({ ...survived, runtimeP99Ms: 50, ownP99Ms: 210 }).length, 1)
})
