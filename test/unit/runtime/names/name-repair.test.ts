import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNameRepair } from '../../../../src/runtime/names/name-repair.ts'

/** Work that fails so many times. */
function scene(failures: number) {
  const state = { failures, runs: 0, told: 0, waits: 0 }
  const repair = createNameRepair(
    async () => {
      state.runs += 1
      state.failures -= 1
      if (state.failures >= 0) throw new Error('away')
    },
    () => {
      state.told += 1
    },
    (ms) => {
      if (ms >= 1_000) return new Promise(() => {})
      state.waits += 1
      return Promise.resolve()
    },
  )
  return { repair, state }
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
  const repair = createNameRepair(
    () => new Promise(() => {}),
    () => {},
    () =>
      new Promise<void>((resolve) => {
        ring = resolve
      }),
  )

  const settled = repair.settle(true)
  ring()
  await settled
})
