import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { FrameWriter } from '../../../src/http2/frame-writer.ts'
import { LIMITS, QueuedBytes } from '../../../src/http2/limits.ts'

const { unsentBytes: FULL_BYTES, unreadBytes: FLOODED_BYTES } = LIMITS

interface Scene {
  readonly writer: FrameWriter
  readonly queue: QueuedBytes
  readonly transport: Duplex
  readonly chunks: Buffer[]
  readonly peer: Duplex
}

function scene(): Scene {
  const [transport, peer] = duplexPair()
  const chunks: Buffer[] = []
  const queue = new QueuedBytes()
  return { writer: new FrameWriter(transport, queue), queue, transport, chunks, peer }
}

async function readAll({ peer, transport }: Scene): Promise<Buffer[]> {
  transport.end()
  return (await peer.toArray()) as Buffer[]
}

test('nothing goes out before it is told to', async () => {
  const all = scene()
  all.writer.add(Buffer.from('a'))

  assert.equal(Buffer.concat(await readAll(all)).length, 0)
})

test('small frames go out in one write', async () => {
  const all = scene()
  for (const text of ['one ', 'two ', 'three']) all.writer.add(Buffer.from(text))

  all.writer.flush()

  assert.deepEqual((await readAll(all)).map(String), ['one two three'])
})

test('a frame alone is not copied', () => {
  const { writer, transport } = scene()
  const written: unknown[] = []
  transport.write = (chunk: unknown): boolean => written.push(chunk) > 0
  const bytes = Buffer.from('alone')
  writer.add(bytes)

  writer.flush()

  assert.equal(written[0], bytes)
})

test('large bodies go out as they are, in order', async () => {
  const all = scene()
  const bodies = ['a', 'b', 'c'].map((letter) => Buffer.alloc(16_384, letter))
  for (const body of bodies) all.writer.add(body)

  all.writer.flush()

  assert.deepEqual(Buffer.concat(await readAll(all)), Buffer.concat(bodies))
})

test('what went out does not go out again', async () => {
  const all = scene()
  all.writer.add(Buffer.from('once'))
  all.writer.flush()

  all.writer.flush()

  assert.equal(String(Buffer.concat(await readAll(all))), 'once')
})

test('what is added or flushed after the end of the transport is dropped', () => {
  const { writer, transport } = scene()
  transport.end()
  writer.add(Buffer.alloc(FULL_BYTES + 1))

  writer.flush()

  assert.equal(writer.isFull, false)
})

test('it is full with more than 256 KiB that the transport has not taken, flushed or not', async () => {
  const { writer, transport, peer } = scene()
  writer.add(Buffer.alloc(FULL_BYTES))
  assert.equal(writer.isFull, false)
  writer.add(Buffer.alloc(1))
  assert.equal(writer.isFull, true)

  writer.flush()

  assert.equal(writer.isFull, true)
  peer.resume()
  await once(transport, 'drain')
  assert.equal(writer.isFull, false)
})

test('it is flooded with more than 1 MiB', () => {
  const { writer } = scene()
  writer.add(Buffer.alloc(FLOODED_BYTES))
  assert.equal(writer.isOverfull, false)

  writer.add(Buffer.alloc(1))

  assert.equal(writer.isOverfull, true)
})

test('what the transport has not taken is counted, until it has', async () => {
  const { writer, queue, transport, peer } = scene()
  writer.add(Buffer.alloc(FULL_BYTES))
  writer.flush()
  assert.ok(queue.bytes > FULL_BYTES / 2, String(queue.bytes))

  peer.resume()
  await once(transport, 'drain')
  writer.flush()

  assert.equal(queue.bytes, 0)
})
