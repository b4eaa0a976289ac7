import assert from 'node:assert/strict'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { FrameWriter } from '../../../src/http2/frame-writer.ts'
import {
  ConnectionError,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  MAX_INT31,
} from '../../../src/http2/frames.ts'
import { HpackDecoder } from '../../../src/http2/hpack/decoder.ts'
import { QueuedBytes } from '../../../src/http2/limits.ts'
import { Sender } from '../../../src/http2/sender.ts'
import { Stream } from '../../../src/http2/stream.ts'
import { RawHttp2End } from '../../support/raw-http2-end.ts'
import { RecordedStream } from '../../support/recorded-stream.ts'

const FRAME_BYTES = 16_384
const WINDOW_BYTES = 65_535
const LIST = { fields: [':status', '200'] }

interface Scene {
  readonly sender: Sender
  readonly raw: RawHttp2End
  /** Streams that said all, and resets, in order. */
  readonly log: string[]
  readonly errors: unknown[]
  readonly peer: Duplex
  readonly places: number[]
  open(id: number): { readonly stream: Stream; readonly handler: RecordedStream }
  /** What goes out at once has arrived. */
  sent(): Promise<void>
}

function scene(): Scene {
  const [here, peer] = duplexPair()
  const raw = new RawHttp2End(peer)
  const log: string[] = []
  const errors: unknown[] = []
  const places: number[] = []
  const sender = new Sender({
    writer: new FrameWriter(here, new QueuedBytes()),
    place: () => places.shift(),
    onEnded: (stream) => log.push(`ended ${stream.id}`),
    onReset: (stream, code) => {
      log.push(`reset ${stream.id} ${code}`)
      stream.isClosed = true
    },
    onFailed: (error) => errors.push(error),
  })
  here.on('drain', () => sender.schedule())
  const owner = {
    ready: (one: Stream) => sender.ready(one),
    reset() {},
    credit() {},
    consumed() {},
    queued() {},
  }
  const open = (id: number): { readonly stream: Stream; readonly handler: RecordedStream } => {
    const handler = new RecordedStream()
    const stream = new Stream(owner, id, 0, handler)
    if (id !== 0) sender.opened(stream)
    return { stream, handler }
  }
  const sent = async (): Promise<void> => {
    for (let before = -1; before !== raw.received.length; await setImmediate()) {
      before = raw.received.length
      await setImmediate()
    }
  }
  return { sender, raw, log, errors, peer, places, open, sent }
}

function sizes(raw: RawHttp2End, streamId?: number): number[] {
  return raw.of(FRAME_TYPE.data, streamId).map(({ payload }) => payload.length)
}

function total(raw: RawHttp2End, streamId?: number): number {
  return sizes(raw, streamId).reduce((sum, bytes) => sum + bytes, 0)
}

test('headers, a body and trailers go out in order, and then all was said', async () => {
  const { raw, log, open, sent } = scene()
  const { stream, handler } = open(1)
  stream.sendHeaders(LIST, false)
  stream.sendData(Buffer.from('body'), false)
  stream.sendHeaders({ fields: ['a', '1'] }, true)

  await sent()

  const { endHeaders, endStream } = FRAME_FLAG
  assert.deepEqual(
    raw.received.map(({ type, flags }) => [type, flags]),
    [
      [FRAME_TYPE.headers, endHeaders],
      [FRAME_TYPE.data, 0],
      [FRAME_TYPE.headers, endHeaders | endStream],
    ],
  )
  assert.deepEqual([log, handler.drains], [['ended 1'], 1])
})

test('what promises send that are settled goes out in one write with what was sent before', async () => {
  const { open, peer, sent } = scene()
  const chunks: Buffer[] = []
  peer.on('data', (chunk: Buffer) => chunks.push(chunk))
  const { stream } = open(1)

  stream.sendHeaders(LIST, false)
  await Promise.resolve().then(() => stream.sendData(Buffer.from('body'), false))
  process.nextTick(() => stream.sendHeaders({ fields: ['grpc-status', '0'] }, true))

  await sent()
  assert.equal(chunks.length, 2)
  assert.ok(chunks[0]?.includes('body'))
  assert.ok(!chunks[0]?.includes('grpc-status'))
})

test('the first block of a connection gives up the table, and no later one', async () => {
  const { raw, open, sent } = scene()
  open(1).stream.sendHeaders(LIST, true)
  open(3).stream.sendHeaders(LIST, true)

  await sent()

  assert.deepEqual(
    raw.received.map(({ payload }) => payload.toString('hex')),
    ['2088', '88'],
  )
})

test('a long list goes on in CONTINUATION', async () => {
  const { raw, log, open, sent } = scene()
  const list = { fields: ['x', 'v'.repeat(40_000)], sensitive: undefined }
  open(1).stream.sendHeaders(list, true)

  await sent()

  const { endHeaders, endStream } = FRAME_FLAG
  assert.deepEqual(
    raw.received.map(({ type, flags, payload }) => [type, flags, payload.length]),
    [
      [FRAME_TYPE.headers, endStream, FRAME_BYTES],
      [FRAME_TYPE.continuation, 0, FRAME_BYTES],
      [FRAME_TYPE.continuation, endHeaders, 40_008 - 2 * FRAME_BYTES],
    ],
  )
  const block = Buffer.concat(raw.received.map(({ payload }) => payload))
  assert.deepEqual(new HpackDecoder(100_000).decode(block).list, list)
  assert.deepEqual(log, ['ended 1'])
})

test('a list that fills its frame exactly needs no CONTINUATION', async () => {
  const { raw, open, sent } = scene()
  open(1).stream.sendHeaders({ fields: ['x', 'v'.repeat(FRAME_BYTES - 7)] }, true)

  await sent()

  assert.deepEqual(
    raw.received.map(({ payload }) => payload.length),
    [FRAME_BYTES],
  )
})

test('a body is cut into frames, and ends with the last of them', async () => {
  const { raw, open, sent } = scene()
  open(1).stream.sendData(Buffer.alloc(40_000), true)

  await sent()

  assert.deepEqual(sizes(raw), [FRAME_BYTES, FRAME_BYTES, 40_000 - 2 * FRAME_BYTES])
  assert.deepEqual(
    raw.received.map(({ flags }) => flags),
    [0, 0, FRAME_FLAG.endStream],
  )
})

test('an empty body that ends goes out, though there is no window', async () => {
  const { raw, sender, open, sent } = scene()
  const { stream } = open(1)
  sender.setInitialWindow(0, [stream])
  stream.sendData(Buffer.alloc(0), true)

  await sent()

  assert.deepEqual(sizes(raw), [0])
})

test('a body stops at the window of its stream, and goes on as far as it is widened', async () => {
  const { raw, sender, open, sent } = scene()
  sender.widen(1_000_000)
  const { stream, handler } = open(1)
  stream.sendData(Buffer.alloc(WINDOW_BYTES + 10), true)
  await sent()
  assert.equal(total(raw), WINDOW_BYTES)
  assert.equal(handler.drains, 0)

  assert.equal(sender.widenStream(stream, 9), true)
  await sent()

  assert.equal(total(raw), WINDOW_BYTES + 9)
  assert.equal(stream.waitingBytes, 1)
})

test('bodies stop at the window of the connection, and all go on when it is widened', async () => {
  const { raw, sender, open, sent } = scene()
  for (const id of [1, 3, 5]) open(id).stream.sendData(Buffer.alloc(30_000), true)
  await sent()
  assert.equal(total(raw), WINDOW_BYTES)

  sender.widen(30_000)
  await sent()

  assert.deepEqual(
    [1, 3, 5].map((id) => total(raw, id)),
    [30_000, 30_000, 30_000],
  )
})

test('headers need no window', async () => {
  const { raw, open, sent } = scene()
  open(1).stream.sendData(Buffer.alloc(WINDOW_BYTES), false)
  await sent()
  open(3).stream.sendHeaders(LIST, true)

  await sent()

  assert.equal(raw.of(FRAME_TYPE.headers, 3).length, 1)
})

test('bodies take turns, frame by frame', async () => {
  const { raw, open, sent } = scene()
  open(1).stream.sendData(Buffer.alloc(3 * FRAME_BYTES), true)
  open(3).stream.sendData(Buffer.alloc(10), true)
  open(5).stream.sendData(Buffer.alloc(10), true)

  await sent()

  assert.deepEqual(
    raw.received.map(({ streamId }) => streamId),
    [1, 3, 5, 1, 1],
  )
})

test('a smaller initial window takes from open streams what they had, below nothing', async () => {
  const { raw, sender, open, sent } = scene()
  const { stream } = open(1)
  stream.sendData(Buffer.alloc(60_000), false)
  await sent()

  sender.setInitialWindow(10_000, [stream])
  stream.sendData(Buffer.alloc(100), true)
  assert.equal(stream.sendWindow, 10_000 - 60_000)
  sender.widenStream(stream, 50_000)
  await sent()
  assert.equal(total(raw), 60_000)
  sender.setInitialWindow(10_099, [stream])
  await sent()

  assert.equal(total(raw), 60_099)
})

test('a stream that is opened later has the new initial window', async () => {
  const { raw, sender, open, sent } = scene()
  sender.setInitialWindow(5, [])
  open(1).stream.sendData(Buffer.alloc(10), true)

  await sent()

  assert.equal(total(raw), 5)
})

test('a window of a stream that would be too wide is refused', () => {
  const { sender, open } = scene()
  const { stream } = open(1)

  assert.equal(sender.widenStream(stream, MAX_INT31 - WINDOW_BYTES), true)
  assert.equal(sender.widenStream(stream, 1), false)
})

for (const [what, widen] of Object.entries({
  'of the connection': (sender: Sender) => sender.widen(MAX_INT31),
  'by the initial one': (sender: Sender, stream: Stream) => {
    sender.widenStream(stream, 1)
    sender.setInitialWindow(MAX_INT31, [stream])
  },
})) {
  test(`a window that gets too wide is an error of the connection: ${what}`, () => {
    const { sender, open } = scene()

    assert.throws(
      () => widen(sender, open(1).stream),
      (error) => error instanceof ConnectionError && error.code === ERROR_CODE.flowControlError,
    )
  })
}

test('a stream without a number waits for its place, with all that it has to say', async () => {
  const { raw, sender, places, open, sent } = scene()
  const { stream } = open(0)
  stream.begin(LIST, false)
  stream.sendData(Buffer.from('a'), true)
  await sent()
  assert.deepEqual([raw.received.length, stream.id], [0, 0])

  places.push(7)
  sender.ready(stream)
  await sent()

  assert.equal(stream.id, 7)
  assert.deepEqual(
    raw.received.map(({ type }) => type),
    [FRAME_TYPE.headers, FRAME_TYPE.data],
  )
})

test('a body that is given before its call begins takes no place', async () => {
  const { raw, places, open, sent } = scene()
  places.push(1)
  open(0).stream.sendData(Buffer.from('a'), true)

  await sent()

  assert.deepEqual([raw.received.length, places], [0, [1]])
})

test('a reset comes behind what waits, and nothing comes behind it', async () => {
  const { raw, sender, log, open, sent } = scene()
  const { stream } = open(1)
  stream.sendData(Buffer.alloc(WINDOW_BYTES + 1), false)
  stream.resetBehind(ERROR_CODE.cancel)
  stream.sendHeaders(LIST, true)
  sender.widen(10)
  await sent()
  assert.deepEqual(log, [])

  sender.widenStream(stream, 1)
  await sent()

  assert.deepEqual(log, ['reset 1 8'])
  assert.equal(raw.of(FRAME_TYPE.headers).length, 0)
})

test('what is forgotten is not sent', async () => {
  const { raw, sender, open, sent } = scene()
  const { stream } = open(1)
  stream.sendHeaders(LIST, true)

  sender.forget(stream)
  await sent()

  assert.equal(raw.received.length, 0)
})

test('what is forgotten while it waits for the window of the connection is not sent', async () => {
  const { raw, sender, open, sent } = scene()
  const { stream } = open(1)
  open(3).stream.sendData(Buffer.alloc(WINDOW_BYTES), true)
  stream.sendData(Buffer.alloc(WINDOW_BYTES), true)
  await sent()
  const before = total(raw, 1)

  sender.forget(stream)
  sender.widen(WINDOW_BYTES)
  await sent()

  assert.equal(total(raw, 1), before)
})

test('with a peer that does not read, bodies wait where they are', async () => {
  const { raw, sender, peer, open, sent } = scene()
  peer.pause()
  sender.widen(10_000_000)
  const { stream } = open(1)
  sender.widenStream(stream, 10_000_000)
  stream.sendData(Buffer.alloc(2_000_000), true)
  await sent()
  assert.ok(stream.waitingBytes > 1_600_000, String(stream.waitingBytes))

  peer.resume()
  await sent()

  assert.equal(total(raw), 2_000_000)
})

test('what goes wrong while sending is told', async () => {
  const { errors, open, sent } = scene()
  const { stream, handler } = open(1)
  const wrong = new Error('wrong')
  handler.onDrain = (): void => {
    throw wrong
  }
  stream.sendData(Buffer.from('a'), false)

  await sent()

  assert.deepEqual(errors, [wrong])
})
