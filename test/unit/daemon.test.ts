import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { endSignal, PauseImage } from '../../src/daemon.ts'
import { ResolveError } from '../../src/errors.ts'
import { FakeClock } from '../support/fake-clock.ts'

test('either signal tells to end, and the next one, whichever it is, is left to the system', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const signals = new EventEmitter()
    const ending = endSignal(signals)
    assert.deepEqual(signals.eventNames(), ['SIGTERM', 'SIGINT'])

    signals.emit(signal, signal)

    assert.equal(await ending, signal)
    assert.deepEqual(signals.eventNames(), [])
  }
})

function scene(intervalMs = 48_000) {
  const clock = new FakeClock()
  const state = { asked: 0, down: false, told: [] as string[] }
  const log = (_: object, message?: string): unknown => state.told.push(message ?? '')
  const warm = new PauseImage({
    reference: 'registry.k8s.io/pause:3.9',
    answers: {
      answer: async () => {
        state.asked += 1
        if (state.down) throw new ResolveError('UNAVAILABLE', 'down')
      },
    },
    clock,
    intervalMs,
    logger: { info: log, warn: log } as never,
  })
  return { clock, state, warm }
}

test('the sandbox image is asked for at the start, and again at every interval', async () => {
  const { clock, state, warm } = scene()

  await warm.start()
  await clock.advance(48_000)
  await clock.advance(48_000)
  warm.close()
  await clock.advance(480_000)

  assert.equal(state.asked, 3)
  assert.deepEqual(state.told, [])
})

test('a failure to resolve is logged once, and so is its end', async () => {
  const { clock, state, warm } = scene()

  state.down = true
  await warm.start()
  await clock.advance(48_000)
  state.down = false
  await clock.advance(48_000)
  warm.close()

  assert.deepEqual(state.told, [
    'could not resolve the sandbox image',
    'the sandbox image is resolved again',
  ])
})

test('without an interval it is asked for once', async () => {
  const { clock, state, warm } = scene(0)

  await warm.start()
  await clock.advance(1_000_000)

  assert.equal(state.asked, 1)
})
