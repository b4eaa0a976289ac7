import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSettling } from '../../../../src/runtime/names/settling.ts'

/** Work that fails so many times. */
function scene(failures: number) {
  const state = { failures, runs: 0, told: 0, waits: 0 }
  const settling = createSettling(
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
  return { settling, state }
}

test('at first there may be something left, then only what was said to be', async () => {
  const { settling, state } = scene(0)

  await settling.settle(true)
  const after = settling.settle(true)
  settling.needed()
  await settling.settle(true)

  assert.equal(after, undefined)
  assert.equal(state.runs, 2)
})

test('one run is for all who ask meanwhile', async () => {
  const { settling, state } = scene(0)

  await Promise.all([settling.settle(true), settling.settle(false), settling.settle(true)])

  assert.equal(state.runs, 1)
})

test('a runtime that answers is asked again where it does not, another one is not', async () => {
  const [patient, impatient] = [scene(3), scene(3)]

  await patient.settling.settle(true)
  await impatient.settling.settle(false)

  assert.deepEqual([patient.state.runs, patient.state.told, patient.state.waits], [4, 0, 3])
  assert.deepEqual([impatient.state.runs, impatient.state.told], [1, 1])
  assert.notEqual(impatient.settling.settle(false), undefined)
})

test('work that never succeeds is given up, and is still needed', async () => {
  const { settling, state } = scene(1_000)

  await settling.settle(true)

  assert.equal(state.told, 1)
  assert.ok(state.runs < 100)
  assert.notEqual(settling.settle(false), undefined)
})

test('nothing waits for it longer than the limit', async () => {
  let ring = () => {}
  const settling = createSettling(
    () => new Promise(() => {}),
    () => {},
    () =>
      new Promise<void>((resolve) => {
        ring = resolve
      }),
  )

  const settled = settling.settle(true)
  ring()
  await settled
})
