import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionError } from '../../../src/http2/errors.ts'
import { ERROR_CODE } from '../../../src/http2/frames.ts'
import { IdleFrames } from '../../../src/http2/idle-frames.ts'
import { LIMITS } from '../../../src/http2/limits.ts'

function scene(): { readonly frames: IdleFrames; readonly clock: { ms: number } } {
  const clock = { ms: 5_000 }
  const frames = new IdleFrames(() => clock.ms)
  for (let spent = 0; spent < LIMITS.idleFrames; spent += 1) frames.spend()
  return { frames, clock }
}

function isSpent(frames: IdleFrames): void {
  assert.throws(
    () => frames.spend(),
    (error) => error instanceof ConnectionError && error.code === ERROR_CODE.enhanceYourCalm,
  )
}

test('so many may come at once and no more', () => {
  isSpent(scene().frames)
})

test('time gives some back', () => {
  const { frames, clock } = scene()
  clock.ms += 1_000
  for (let spent = 0; spent < LIMITS.idleFramesPerSecond; spent += 1) frames.spend()

  isSpent(frames)
})

test('however long nothing comes, no more than the beginning is given back', () => {
  const { frames, clock } = scene()
  clock.ms += 86_400_000
  for (let spent = 0; spent < LIMITS.idleFrames; spent += 1) frames.spend()

  isSpent(frames)
})

test('answers give some back, and no more than the beginning', () => {
  const { frames } = scene()
  frames.earn()
  for (let spent = 0; spent < LIMITS.idleFramesPerAnswer; spent += 1) frames.spend()
  isSpent(frames)

  for (let earned = 0; earned < 2 * LIMITS.idleFrames; earned += 1) frames.earn()
  for (let spent = 0; spent < LIMITS.idleFrames; spent += 1) frames.spend()

  isSpent(frames)
})
