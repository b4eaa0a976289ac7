import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { LIMITS } from '../../../src/http2/limits.ts'
import { Outbox } from '../../../src/http2/outbox.ts'
import { QueuedBytes } from '../../../src/http2/queued-bytes.ts'

const { unsentBytes: FULL_BYTES, unreadBytes: FLOODED_BYTES } = LIMITS

interface Scene {
  readonly outbox: Outbox
  readonly queue: QueuedBytes
  readonly transport: Duplex
  readonly chunks: Buffer[]
  readonly peer: Duplex
}

function scene(): Scene {
  const [transport, peer] = duplexPair()
  const chunks: Buffer[] = []
  const queue = new QueuedBytes()
  return { outbox: new Outbox(transport, queue), queue, transport, chunks, peer }
}

async function readAll({ peer, transport }: Scene): Promise<Buffer[]> {
  transport.end()
  return (await peer.toArray()) as Buffer[]
}

test('nothing goes out before it is told to', async () => {
  const all = scene()
  all.outbox.add(Buffer.from('a'))

  assert.equal(Buffer.concat(await readAll(all)).length, 0)
})

test('small frames go out in one write', async () => {
  const all = scene()
  for (const text of ['one ', 'two ', 'three']) all.outbox.add(Buffer.from(text))

  all.outbox.flush()

  assert.deepEqual((await readAll(all)).map(String), ['one two three'])
})

test('a frame alone is not copied', () => {
  const { outbox, transport } = scene()
  const written: unknown[] = []
  transport.write = (chunk: unknown): boolean => written.push(chunk) > 0
  const bytes = Buffer.from('alone')
  outbox.add(bytes)

  outbox.flush()

  assert.equal(written[0], bytes)
})

test('large bodies go out as they are, in order', async () => {
  const all = scene()
  const bodies = ['a', 'b', 'c'].map((letter) => Buffer.alloc(16_384, letter))
  for (const body of bodies) all.outbox.add(body)

  all.outbox.flush()

  assert.deepEqual(Buffer.concat(await readAll(all)), Buffer.concat(bodies))
})

test('what went out does not go out again', async () => {
  const all = scene()
  all.outbox.add(Buffer.from('once'))
  all.outbox.flush()

  all.outbox.flush()

  assert.equal(String(Buffer.concat(await readAll(all))), 'once')
})

test('what is added or flushed after the end of the transport is dropped', () => {
  const { outbox, transport } = scene()
  transport.end()
  outbox.add(Buffer.alloc(FULL_BYTES + 1))

  outbox.flush()

  assert.equal(outbox.isFull, false)
})

test('it is full with more than 256 KiB that the transport has not taken, flushed or not', async () => {
  const { outbox, transport, peer } = scene()
  outbox.add(Buffer.alloc(FULL_BYTES))
  assert.equal(outbox.isFull, false)
  outbox.add(Buffer.alloc(1))
  assert.equal(outbox.isFull, true)

  outbox.flush()

  assert.equal(outbox.isFull, true)
  peer.resume()
  await once(transport, 'drain')
  assert.equal(outbox.isFull, false)
})

test('it is flooded with more than 1 MiB', () => {
  const { outbox } = scene()
  outbox.add(Buffer.alloc(FLOODED_BYTES))
  assert.equal(outbox.isFlooded, false)

  outbox.add(Buffer.alloc(1))

  assert.equal(outbox.isFlooded, true)
})

test('what the transport has not taken is counted, until it has', async () => {
  const { outbox, queue, transport, peer } = scene()
  outbox.add(Buffer.alloc(FULL_BYTES))
  outbox.flush()
  assert.ok(queue.bytes > FULL_BYTES / 2, String(queue.bytes))

  peer.resume()
  await once(transport, 'drain')
  outbox.flush()

  assert.equal(queue.bytes, 0)
})
