import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QueuedBytes, QueueTotal } from '../../../src/http2/queued-bytes.ts'

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
