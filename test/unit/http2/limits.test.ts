import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ConnectionError, ERROR_CODE } from '../../../src/http2/frames.ts'
import { IdleFrames, LIMITS, QueuedBytes, QueueTotal } from '../../../src/http2/limits.ts'

const folder = new URL('../../../src/http2/', import.meta.url)
const page = readFileSync(new URL('README.md', folder), 'utf8')

test('the page of the folder has each bound, and each file', () => {
  const [, files = '', bounds = ''] =
    /## Files([\s\S]*)## States[\s\S]*## Bounds([\s\S]*)/.exec(page) ?? []

  for (const name of Object.keys(LIMITS)) assert.ok(bounds.includes(`\`${name}\``), name)
  for (const name of files.match(/[a-z0-9-/]+\.ts/g) ?? []) {
    assert.ok(existsSync(new URL(name, folder)), name)
  }
})

test('a peer is full with more than its own maximum, whatever others hold', () => {
  const peer = new QueuedBytes(new QueueTotal(1_000), 100)
  peer.add(100)
  assert.equal(peer.isFull, false)

  peer.add(1)

  assert.equal(peer.isFull, true)
  peer.add(-1)
  assert.equal(peer.isFull, false)
})

test('under pressure those are full that hold more than an equal share', () => {
  const total = new QueueTotal(1_000)
  const [greedy, modest] = [new QueuedBytes(total, 2_000), new QueuedBytes(total, 2_000)]
  greedy.add(900)
  modest.add(100)
  assert.deepEqual([greedy.isFull, modest.isFull], [false, false])

  modest.add(1)

  assert.deepEqual([greedy.isFull, modest.isFull], [true, false])
  modest.add(399)
  assert.equal(modest.isFull, false)
  modest.add(1)
  assert.equal(modest.isFull, true)
})

test('however many peers there are and however greedy, they stay below twice the total', () => {
  const total = new QueueTotal(10_000)
  for (const count of [1, 3, 50, 700]) {
    const peers = Array.from({ length: count }, () => new QueuedBytes(total, 5_000))
    for (let round = 0; round < 20_000; round += 1) {
      const peer = peers[(round * 7) % count]
      if (peer?.isFull === false) peer.add(10)
    }
    assert.ok(total.bytes <= 20_000 + 10 * count, `${count} peers hold ${total.bytes}`)
    for (const peer of peers) peer.close()
    assert.equal(total.bytes, 0)
  }
})

test('a peer is busy long before it is full', () => {
  const peer = new QueuedBytes(new QueueTotal(1_000), 600)
  peer.add(100)
  assert.equal(peer.isBusy, false)

  peer.add(1)

  assert.deepEqual([peer.isBusy, peer.isFull], [true, false])
})

test('what is held for a peer goes with it, once, and nothing is held for it any more', () => {
  const total = new QueueTotal(1_000)
  const [peer, other] = [new QueuedBytes(total, 100), new QueuedBytes(total, 100)]
  peer.add(50)
  other.add(7)

  peer.close()
  peer.close()
  peer.add(30)

  assert.deepEqual([peer.bytes, total.bytes, total.peers], [0, 7, 1])
})

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
