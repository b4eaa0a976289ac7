import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Connection } from '../../../src/http2/connection.ts'
import {
  ConnectionError,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  frame,
} from '../../../src/http2/frames.ts'
import { LIMITS } from '../../../src/http2/limits.ts'
import type { Stream } from '../../../src/http2/stream.ts'
import { callBlock, OPENING } from '../../support/hostile-frames.ts'
import { literal, plain } from '../../support/hpack-fields.ts'
import type { RawHttp2End } from '../../support/raw-http2-end.ts'
import { raise, rawPair } from '../../support/raw-http2-pair.ts'

const { endHeaders, endStream, priority } = FRAME_FLAG
const ANSWER = { fields: [':status', '200'] }

/** A server that answers when the request has ended, before a client that has begun stream 1. */
function begun(t: TestContext, flags: number, ...more: readonly Buffer[]) {
  const bodies: string[] = []
  const streams: Stream[] = []
  const pair = rawPair(t, {
    role: 'server',
    onStream: (stream, _list, isEnd) => {
      streams.push(stream)
      if (isEnd) stream.sendHeaders(ANSWER, true)
      return {
        onHeaders() {},
        onData: (bytes, isLast) => {
          bodies.push(String(bytes))
          if (isLast) stream.sendHeaders(ANSWER, true)
        },
        onDrain() {},
        onEnd() {},
      }
    },
  })
  pair.raw.send(OPENING, frame(FRAME_TYPE.headers, flags, 1, callBlock('/', ...more)))
  return { ...pair, bodies, streams }
}

function data(text: string, isEnd = false): Buffer {
  return frame(FRAME_TYPE.data, isEnd ? endStream : 0, 1, Buffer.from(text))
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

async function resetCodes(raw: RawHttp2End): Promise<readonly number[]> {
  await raw.settled()
  return raw.of(FRAME_TYPE.rstStream, 1).map(({ payload }) => payload.readUInt32BE())
}

test('DATA on a stream that its client has reset is answered with STREAM_CLOSED, once', async (t) => {
  const { raw } = begun(t, endHeaders)

  raw.send(frame(FRAME_TYPE.rstStream, 0, 1, word(ERROR_CODE.cancel)), data('late'), data('later'))

  assert.deepEqual(await resetCodes(raw), [ERROR_CODE.streamClosed])
})

test('DATA on a stream that both sides have ended is answered with STREAM_CLOSED', async (t) => {
  const { raw } = begun(t, endHeaders | endStream)
  await raw.frame(({ type, streamId }) => type === FRAME_TYPE.headers && streamId === 1)

  raw.send(data('late'))

  assert.deepEqual(await resetCodes(raw), [ERROR_CODE.streamClosed])
})

test('DATA that was on its way when we reset the stream is passed over', async (t) => {
  const { raw, streams } = begun(t, endHeaders)
  await raw.settled()
  streams[0]?.reset(ERROR_CODE.noError)

  raw.send(data('on its way'), data('and more', true))

  assert.deepEqual(await resetCodes(raw), [ERROR_CODE.noError])
})

for (const [what, length, frames, bodies] of [
  ['more than', '3', [data('ab'), data('cd')], ['ab']],
  ['less than', '5', [data('ab'), data('cd', true)], ['ab']],
  ['no body in place of', '3', [data('', true)], []],
  ['a body with no number as', 'many', [data('ab', true)], []],
] as const) {
  test(`a request of ${what} its content-length is malformed`, async (t) => {
    const field = literal('without', plain('content-length'), plain(length))
    const scene = begun(t, endHeaders, field)

    scene.raw.send(...frames)

    const [code] = await resetCodes(scene.raw)
    assert.equal(code, ERROR_CODE.protocolError)
    assert.deepEqual(scene.bodies, bodies)
  })
}

test('a request of its content-length is served', async (t) => {
  const field = literal('without', plain('content-length'), plain('4'))
  const { bodies, raw } = begun(t, endHeaders, field)

  raw.send(data('ab'), data('cd', true))

  assert.deepEqual(await resetCodes(raw), [])
  assert.deepEqual(bodies, ['ab', 'cd'])
})

for (const [what, bytes] of [
  ['PRIORITY', frame(FRAME_TYPE.priority, 0, 3, Buffer.concat([word(3), Buffer.of(15)]))],
  [
    'HEADERS',
    frame(
      FRAME_TYPE.headers,
      endHeaders | priority,
      3,
      Buffer.concat([word(2 ** 31 + 3), Buffer.of(15), callBlock('/')]),
    ),
  ],
] as const) {
  test(`a stream that depends on itself by ${what} ends the connection`, async (t) => {
    const { closed, raw } = begun(t, endHeaders)

    raw.send(bytes)

    const cause = await closed
    assert.ok(cause instanceof ConnectionError)
    assert.equal(cause.code, ERROR_CODE.protocolError)
  })
}

test('a client that sends without a pause is read in turns, one that sends little at once', async () => {
  const transport = new PassThrough()
  new Connection(transport, { role: 'server', onClosed() {}, onDefect: raise })
  const unknown = frame(0xff, 0, 0, Buffer.alloc(1_000))
  const stream = Buffer.concat([OPENING, ...Array<Buffer>(1_000).fill(unknown)])
  let at = 0
  const read = (bytes: number): void => {
    transport.emit('data', stream.subarray(at, at + bytes))
    at += bytes
  }

  for (let n = 0; n < 20; n += 1) read(1_000)
  read(LIMITS.chunkBytes - 1)
  assert.equal(transport.isPaused(), false)
  read(LIMITS.chunkBytes)
  assert.equal(transport.isPaused(), true)
  await setImmediate()

  assert.equal(transport.isPaused(), false)
  transport.destroy()
})

test('a dependency on another stream is passed over', async (t) => {
  const { raw } = begun(t, endHeaders)

  raw.send(
    frame(FRAME_TYPE.priority, 0, 3, Buffer.concat([word(1), Buffer.of(15)])),
    data('', true),
  )

  await raw.frame(({ type, streamId }) => type === FRAME_TYPE.headers && streamId === 1)
  assert.deepEqual(await resetCodes(raw), [])
})
