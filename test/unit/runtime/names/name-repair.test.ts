import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNameRepair } from '../../../../src/runtime/names/name-repair.ts'

const NAME = 'm:5000/library/x:1'

/** One name that is left, in a runtime that is away for so many tries. */
function scene(failures: number, has: () => boolean = () => true) {
  const state = { failures, runs: 0, told: 0, waits: 0, nowMs: 0, forgotten: [] as string[] }
  const late: (() => void)[] = []
  const repair = createNameRepair({
    left: async () => [[NAME, []]],
    repair: async () => {
      state.runs += 1
      state.failures -= 1
      if (state.failures >= 0) throw new Error('away')
      return has()
    },
    forget: (name) => {
      state.forgotten.push(name)
    },
    failed: () => {
      state.told += 1
    },
    wait: (ms) => {
      if (ms === 10_000) return new Promise<void>((resolve) => late.push(resolve))
      if (ms >= 1_000) return new Promise(() => {})
      state.waits += 1
      return Promise.resolve()
    },
    now: () => state.nowMs,
  })
  /** Ten seconds go by; what is due then has been done. */
  const later = async (): Promise<void> => {
    state.nowMs += 10_000
    for (const ring of late.splice(0)) ring()
    await new Promise(setImmediate)
  }
  return { repair, state, later }
}

test('at first there may be something left, then only what was said to be', async () => {
  const { repair, state } = scene(0)

  await repair.settle(true)
  const after = repair.settle(true)
  repair.needed()
  await repair.settle(true)

  assert.equal(after, undefined)
  assert.equal(state.runs, 2)
})

test('one run is for all who ask meanwhile', async () => {
  const { repair, state } = scene(0)

  await Promise.all([repair.settle(true), repair.settle(false), repair.settle(true)])

  assert.equal(state.runs, 1)
})

test('a runtime that answers is asked again where it does not, another one is not', async () => {
  const [patient, impatient] = [scene(3), scene(3)]

  await patient.repair.settle(true)
  await impatient.repair.settle(false)

  assert.deepEqual([patient.state.runs, patient.state.told, patient.state.waits], [4, 0, 3])
  assert.deepEqual([impatient.state.runs, impatient.state.told], [1, 1])
  assert.notEqual(impatient.repair.settle(false), undefined)
})

test('work that never succeeds is given up, and is still needed', async () => {
  const { repair, state } = scene(1_000)

  await repair.settle(true)

  assert.equal(state.told, 1)
  assert.ok(state.runs < 100)
  assert.notEqual(repair.settle(false), undefined)
})

test('nothing waits for it longer than the limit', async () => {
  let ring = () => {}
  const repair = createNameRepair({
    left: () => new Promise(() => {}),
    repair: async () => true,
    forget: () => {},
    failed: () => {},
    wait: () =>
      new Promise<void>((resolve) => {
        ring = resolve
      }),
  })

  const settled = repair.settle(true)
  ring()
  await settled
})

test('a name that is not there is looked for again ten seconds later, and then forgotten', async () => {
  const { later, repair, state } = scene(0, () => false)

  await repair.settle(true)
  const soon = { runs: state.runs, forgotten: [...state.forgotten], settled: repair.settle(true) }
  await later()

  assert.deepEqual(soon, { runs: 1, forgotten: [], settled: undefined })
  assert.deepEqual([state.runs, state.forgotten], [2, [NAME]])
})

test('a name that came after it was looked for is repaired', async () => {
  let isThere = false
  const { later, repair, state } = scene(0, () => isThere)

  await repair.settle(true)
  isThere = true
  await later()

  assert.deepEqual([state.runs, state.forgotten], [2, []])
})

test('the ten seconds begin again with each pull that is interrupted', async () => {
  const { later, repair, state } = scene(0, () => false)

  await repair.settle(true)
  repair.needed()
  state.nowMs += 9_999
  await repair.settle(true)
  state.nowMs = 0
  await later()
  const after = [...state.forgotten]
  await later()

  assert.deepEqual([after, state.forgotten], [[], [NAME]])
})

test('a runtime that is away when the ten seconds are over is asked again', async () => {
  const { later, repair, state } = scene(0, () => false)

  await repair.settle(true)
  state.failures = 1
  await later()
  const meanwhile = [...state.forgotten]
  await repair.settle(true)

  assert.deepEqual([meanwhile, state.told, state.forgotten], [[], 1, [NAME]])
})
