import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERROR_CODE } from '../../../src/http2/frames.ts'
import { Stream } from '../../../src/http2/stream.ts'
import { RecordedStream } from '../../support/recorded-stream.ts'

const WINDOW_BYTES = 1_000
const COST_BYTES = 50

interface Scene {
  readonly stream: Stream
  /** What the stream asked of its connection. */
  readonly asked: unknown[]
  /** Bytes of the connection's window that it gave back. */
  consumed(): number
  /** Bytes that it says are held on it. */
  queued(): number
}

function scene(): Scene {
  const asked: unknown[] = []
  let consumed = 0
  let queued = 0
  const owner = {
    ready: () => asked.push('ready'),
    reset: (_stream: Stream, code: number) => asked.push(['reset', code]),
    credit: (one: Stream, bytes: number) => {
      one.receiveWindow += bytes
      asked.push(['credit', bytes])
    },
    consumed: (bytes: number) => {
      consumed += bytes
    },
    queued: (bytes: number) => {
      queued += bytes
    },
  }
  const stream = new Stream(owner, 1, WINDOW_BYTES, new RecordedStream(), COST_BYTES)
  return { stream, asked, consumed: () => consumed, queued: () => queued }
}

const LIST = { fields: [':status', '200'] }

/** What is to be sent, taken piece by piece. */
function taken(stream: Stream): unknown[] {
  const all: unknown[] = []
  for (let next = stream.next(); next !== undefined; next = stream.next()) {
    all.push(next.kind === 'data' ? [String(next.bytes), next.isEnd] : next.kind)
    stream.sent(next.kind === 'data' ? next.bytes.length : 0)
  }
  return all
}

test('what is sent waits in order', () => {
  const { stream } = scene()
  stream.sendHeaders(LIST, false)
  stream.sendData(Buffer.from('a'), false)
  stream.sendData(Buffer.from('b'), true)
  stream.resetBehind(ERROR_CODE.noError)

  assert.deepEqual(taken(stream), ['headers', ['ab', true], 'reset'])
})

test('what is sent whole is sent with its end', () => {
  const { stream, asked } = scene()
  stream.sendsWhole = true
  stream.sendHeaders(LIST, false)
  stream.sendData(Buffer.from('a'), false)
  assert.deepEqual(asked, [])

  stream.sendHeaders(LIST, true)

  assert.deepEqual(asked, ['ready'])
  assert.deepEqual(taken(stream), ['headers', ['a', false], 'headers'])
})

test('what is sent whole is sent with the reset that ends it', () => {
  const { stream, asked } = scene()
  stream.sendsWhole = true
  stream.sendData(Buffer.from('a'), false)

  stream.resetBehind(ERROR_CODE.internalError)

  assert.deepEqual(asked, ['ready'])
  assert.deepEqual(taken(stream), [['a', false], 'reset'])
})

test('what is sent whole and is large does not wait for its end', () => {
  const { stream, asked } = scene()
  stream.sendsWhole = true
  stream.sendData(Buffer.alloc(4 * 1024), false)
  assert.deepEqual(asked, [])

  stream.sendData(Buffer.alloc(1), false)

  assert.deepEqual(asked, ['ready'])
})

test('the beginning comes before what was given before it', () => {
  const { stream } = scene()
  stream.sendData(Buffer.from('a'), false)

  stream.begin(LIST, false)

  assert.deepEqual(taken(stream), ['headers', ['a', false]])
})

test('the connection is told that something waits', () => {
  const { stream, asked } = scene()

  stream.sendHeaders(LIST, true)

  assert.deepEqual(asked, ['ready'])
})

test('the bytes of bodies that wait are counted', () => {
  const { stream } = scene()
  stream.sendHeaders(LIST, false)
  stream.sendData(Buffer.from('abcde'), false)
  stream.sendData(Buffer.from('fg'), false)
  assert.equal(stream.waitingBytes, 7)

  stream.sent(0)
  stream.sent(3)

  assert.equal(stream.waitingBytes, 4)
  assert.deepEqual(taken(stream), [['defg', false]])
  assert.equal(stream.waitingBytes, 0)
})

test('what waits can be forgotten', () => {
  const { stream } = scene()
  stream.sendData(Buffer.from('abc'), true)

  stream.forget()

  assert.equal(stream.next(), undefined)
  assert.equal(stream.waitingBytes, 0)
})

test('nothing waits on a stream that has ended, nor is counted', () => {
  const { stream, asked } = scene()
  stream.isClosed = true

  stream.begin(LIST, false)
  stream.sendHeaders(LIST, true)
  stream.sendData(Buffer.from('abc'), true)
  stream.resetBehind(ERROR_CODE.cancel)
  stream.reset(ERROR_CODE.cancel)

  assert.deepEqual(taken(stream), [])
  assert.equal(stream.waitingBytes, 0)
  assert.deepEqual(asked, [])
})

test('a reset is asked for at once', () => {
  const { stream, asked } = scene()

  stream.reset(ERROR_CODE.cancel)

  assert.deepEqual(asked, [['reset', ERROR_CODE.cancel]])
})

test('the peer may send more when half of its window has been dealt with', () => {
  const { stream, asked } = scene()
  stream.received(600)
  stream.receiveWindow = WINDOW_BYTES
  stream.consumed(499)
  assert.deepEqual(asked, [])

  stream.consumed(1)

  assert.deepEqual(asked, [['credit', 500]])
})

test('a peer that has used its window up may send more as soon as anything was dealt with', () => {
  const { stream, asked } = scene()
  stream.received(WINDOW_BYTES)

  stream.consumed(1)

  assert.deepEqual(asked, [['credit', 1]])
})

test('nothing that was dealt with is nothing to tell', () => {
  const { stream, asked } = scene()
  stream.receiveWindow = 0

  stream.consumed(0)

  assert.deepEqual(asked, [])
})

for (const end of ['hasEndedThere', 'isClosed'] as const) {
  test(`a peer that will send no more is not let (${end})`, () => {
    const { stream, asked } = scene()
    stream.received(WINDOW_BYTES)
    stream[end] = true

    stream.consumed(WINDOW_BYTES)

    assert.deepEqual(asked, [])
  })
}

test('small bodies that wait are joined, so that they take no more memory than their bytes', () => {
  const { stream } = scene()
  stream.sendHeaders(LIST, false)
  for (let sent = 0; sent < 5_000; sent += 1) stream.sendData(Buffer.from('x'), false)

  const bodies = taken(stream).slice(1) as [string, boolean][]

  assert.equal(bodies.length, 3)
  assert.equal(bodies.map(([text]) => text).join(''), 'x'.repeat(5_000))
})

test('what came and was not dealt with is given back to the connection when the stream ends', () => {
  const { stream, consumed } = scene()
  stream.received(700)
  stream.consumed(200)
  assert.equal(consumed(), 200)

  stream.isClosed = true
  stream.forget()
  stream.consumed(500)

  assert.equal(consumed(), 700)
})

test('all that a stream holds is counted until it has gone', () => {
  const { stream, queued } = scene()
  assert.equal(queued(), COST_BYTES)

  stream.sendHeaders({ fields: ['ab', 'cde'] }, false)
  stream.sendData(Buffer.alloc(300), false)
  assert.equal(queued(), COST_BYTES + 305)

  assert.equal(taken(stream).length, 2)
  assert.equal(queued(), COST_BYTES)

  stream.sendHeaders({ fields: ['ab', 'cde'] }, false)
  stream.sendData(Buffer.alloc(300), false)
  stream.forget()
  assert.equal(queued(), 0)
})
