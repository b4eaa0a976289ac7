import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Connection } from '../../../src/http2/connection.ts'
import {
  ConnectionError,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  frame,
  goAwayFrame,
  MAX_INT31,
  numberFrame,
  PREFACE,
  type Settings,
  writeSettings,
} from '../../../src/http2/frames.ts'
import { encodeHeaders } from '../../../src/http2/hpack/encoder.ts'
import { LIMITS, QueuedBytes, QueueTotal } from '../../../src/http2/limits.ts'
import type { Stream } from '../../../src/http2/stream.ts'
import { callBlock, OPENING } from '../../support/hostile-frames.ts'
import { EMPTY, SETTINGS, SETTINGS_ACK } from '../../support/raw-http2-client.ts'
import type { RawHttp2End } from '../../support/raw-http2-end.ts'
import { type RawPair, raise, rawPair } from '../../support/raw-http2-pair.ts'
import { RecordedStream } from '../../support/recorded-stream.ts'

const { data, headers, rstStream, windowUpdate, goAway } = FRAME_TYPE
const { endHeaders, endStream } = FRAME_FLAG
const FRAME_BYTES = 16_384
const { streams: MAX_STREAMS } = LIMITS
const CONNECTION_WINDOW_BYTES = LIMITS.connectionWindowBytes.server
const STREAM_WINDOW_BYTES = LIMITS.streamWindowBytes.server
const PATH = '/made.Up/Method'
const REQUEST = { fields: [':method', 'POST', ':scheme', 'http', ':path', PATH] }
const ANSWER = { fields: [':status', '200'] }
const TRAILERS = { fields: ['grpc-status', '0'] }

function headersOf(streamId: number, fields: readonly string[], flags = 0): Buffer {
  return frame(headers, endHeaders | flags, streamId, encodeHeaders({ fields }))
}

function callOf(streamId: number, flags = 0): Buffer {
  return frame(headers, endHeaders | flags, streamId, callBlock(PATH))
}

function dataOf(streamId: number, bytes: number, flags = 0): Buffer {
  return frame(data, flags, streamId, Buffer.alloc(bytes))
}

function settingsOf(settings: Settings): Buffer {
  return frame(FRAME_TYPE.settings, 0, 0, writeSettings(settings))
}

interface Served extends RawPair {
  /** One for each call that came in. */
  readonly calls: RecordedStream[]
}

/** Our end is the server, and greeted. */
function serve(t: TestContext, options: { readonly keeps?: boolean } = {}): Served {
  const calls: RecordedStream[] = []
  const pair = rawPair(t, {
    role: 'server',
    onStream: (stream, list, isEnd) => {
      const call = new RecordedStream(options)
      call.stream = stream
      call.onHeaders(list, isEnd)
      calls.push(call)
      return call
    },
  })
  pair.raw.send(OPENING)
  return { ...pair, calls }
}

/** Our end is the client; its peer has greeted it. */
function dial(t: TestContext, settings: Settings = {}): RawPair {
  const pair = rawPair(t, { role: 'client' })
  pair.raw.send(settingsOf(settings))
  return pair
}

function begin(connection: Connection, isEnd = false): RecordedStream & { stream: Stream } {
  const call = new RecordedStream()
  const stream = connection.open(call)
  stream.begin(REQUEST, isEnd)
  return Object.assign(call, { stream })
}

/** The codes with which streams were reset, by their number. */
function resets(raw: RawHttp2End): Record<number, number> {
  const all = raw.of(rstStream).map((each) => [each.streamId, each.payload.readUInt32BE()] as const)
  assert.equal(new Set(all.map(([id]) => id)).size, all.length, 'reset once')
  return Object.fromEntries(all)
}

async function closedWith({ raw, closed }: RawPair, code: number): Promise<void> {
  const error = await closed
  assert.ok(error instanceof ConnectionError, String(error))
  assert.equal(error.code, code)
  const last = await raw.frame(({ type }) => type === goAway)
  assert.equal(last.payload.readUInt32BE(4), code)
}

// As the server.

test('a call is told with its headers, its body and its end, and answered', async (t) => {
  const { raw, calls } = serve(t)
  raw.send(callOf(1), dataOf(1, 3), dataOf(1, 2, endStream))
  await raw.settled()
  const [call] = calls
  assert.equal(call?.heard[0]?.fields[1], 'POST')
  assert.deepEqual([call.bytes, call.lastWords, call.ends], [5, 1, []])

  call.stream?.sendHeaders(ANSWER, false)
  call.stream?.sendHeaders(TRAILERS, true)

  assert.deepEqual(await call.ended, { how: 'done' })
  await raw.settled()
  assert.equal(raw.of(headers, 1).length, 2)
  assert.deepEqual(resets(raw), {})
})

test('trailers of a call are told as such', async (t) => {
  const { raw, calls } = serve(t)
  raw.send(callOf(1), headersOf(1, ['a', '1'], endStream))
  await raw.settled()

  assert.deepEqual(calls[0]?.heard[1]?.fields, ['a', '1'])
  assert.equal(calls[0]?.lastWords, 1)
})

test('a reset by the client is told with its code', async (t) => {
  const { raw, calls } = serve(t)
  raw.send(callOf(1), numberFrame(rstStream, 1, ERROR_CODE.cancel))
  await raw.settled()

  assert.deepEqual(calls[0]?.ends, [{ how: 'reset', code: ERROR_CODE.cancel }])
})

test('what comes on a stream that was reset is passed over', async (t) => {
  const { raw, calls } = serve(t)
  raw.send(callOf(1))
  await raw.settled()
  calls[0]?.stream?.reset(ERROR_CODE.cancel)
  raw.send(
    dataOf(1, 100),
    numberFrame(windowUpdate, 1, 5),
    headersOf(1, ['a', '1'], endStream),
    numberFrame(rstStream, 1, ERROR_CODE.cancel),
    callOf(3),
  )
  await raw.settled()

  assert.deepEqual(resets(raw), { 1: ERROR_CODE.cancel })
  assert.deepEqual([calls.length, calls[0]?.bytes, calls[0]?.ends], [2, 0, [{ how: 'local' }]])
})

test('an answer ahead of the end of a call ends it, and asks for no more', async (t) => {
  const { raw, calls } = serve(t)
  raw.send(callOf(1))
  await raw.settled()
  const [call] = calls
  call?.stream?.sendHeaders(ANSWER, true)
  call?.stream?.resetBehind(ERROR_CODE.noError)

  assert.deepEqual(await call?.ended, { how: 'local' })
  await raw.settled()
  assert.deepEqual(resets(raw), { 1: ERROR_CODE.noError })
})

test('a call whose headers are too long is answered with 431, and nobody hears of it', async (t) => {
  const { raw, calls } = serve(t)
  const block = encodeHeaders({ fields: [...REQUEST.fields, 'x', 'v'.repeat(131_072)] })
  raw.send(frame(headers, 0, 1, block.subarray(0, FRAME_BYTES)))
  for (let at = FRAME_BYTES; at < block.length; at += FRAME_BYTES) {
    const isLast = at + FRAME_BYTES >= block.length
    const part = block.subarray(at, at + FRAME_BYTES)
    raw.send(frame(FRAME_TYPE.continuation, isLast ? endHeaders : 0, 1, part))
  }
  raw.send(dataOf(1, 10), headersOf(1, ['a', '1'], endStream))
  await raw.settled()

  const answer = raw.of(headers, 1)[0]
  assert.ok(answer?.payload.includes('431'))
  assert.equal(calls.length, 0)
})

test('a call of which somebody hears nothing is still one', async (t) => {
  const { raw } = rawPair(t, { role: 'server' })
  raw.send(OPENING, callOf(1), dataOf(1, 1), headersOf(1, [], endStream))
  raw.send(numberFrame(rstStream, 1, ERROR_CODE.cancel))
  await raw.settled()

  assert.deepEqual(resets(raw), {})
})

const REFUSED = ['no method', [':scheme', 'http', ':path', '/']] as const

test(`a call that is none is refused alone: ${REFUSED[0]}`, async (t) => {
  const { raw, calls } = serve(t)
  raw.send(headersOf(1, REFUSED[1]), callOf(3))
  await raw.settled()

  assert.deepEqual(resets(raw), { 1: ERROR_CODE.protocolError })
  assert.equal(calls.length, 1)
})

test('calls beyond 1,024 at a time are refused, until there are fewer', async (t) => {
  const { raw, calls } = serve(t)
  const ids = Array.from({ length: MAX_STREAMS + 2 }, (_, n) => 2 * n + 1)
  raw.send(...ids.map((id) => callOf(id)))
  await raw.settled()
  const refused = ERROR_CODE.refusedStream
  assert.deepEqual(resets(raw), { 2049: refused, 2051: refused })

  raw.send(numberFrame(rstStream, 1, ERROR_CODE.cancel), callOf(2_053), callOf(2_055))
  await raw.settled()

  assert.deepEqual(resets(raw), { 2049: refused, 2051: refused, 2055: refused })
  assert.equal(calls.length, MAX_STREAMS + 1)
})

test('after GOAWAY of ours new calls are refused, and those under way go on', async (t) => {
  const { raw, calls, connection, closed } = serve(t)
  raw.send(callOf(1))
  await raw.settled()
  connection.goAway()
  connection.goAway()
  raw.send(callOf(3), dataOf(1, 5, endStream))
  await raw.settled()
  assert.deepEqual(resets(raw), { 3: ERROR_CODE.refusedStream })
  assert.deepEqual(
    raw.of(goAway).map(({ payload }) => payload.readUInt32BE()),
    [1],
  )
  assert.equal(connection.isOpen, false)

  calls[0]?.stream?.sendHeaders(ANSWER, true)

  assert.equal(await closed, undefined)
  assert.deepEqual(calls[0]?.ends, [{ how: 'done' }])
})

test('after GOAWAY of the client it closes with the last call', async (t) => {
  const { raw, calls, closed } = serve(t)
  raw.send(callOf(1, endStream), goAwayFrame(0, ERROR_CODE.noError))
  await raw.settled()
  assert.deepEqual(calls[0]?.ends, [])

  calls[0]?.stream?.sendHeaders(ANSWER, true)

  assert.equal(await closed, undefined)
})

const SERVER_BREACHES: Readonly<Record<string, readonly [number, ...Buffer[]]>> = {
  'a stream of even number': [ERROR_CODE.protocolError, callOf(2)],
  'DATA of a stream that never was': [ERROR_CODE.protocolError, dataOf(1, 1)],
  'DATA of a stream of ours': [ERROR_CODE.protocolError, callOf(5), dataOf(2, 1)],
  'RST_STREAM of a stream that never was': [
    ERROR_CODE.protocolError,
    numberFrame(rstStream, 1, ERROR_CODE.cancel),
  ],
  'WINDOW_UPDATE of a stream that never was': [
    ERROR_CODE.protocolError,
    numberFrame(windowUpdate, 1, 1),
  ],
  'a number that was used already': [ERROR_CODE.streamClosed, callOf(3), callOf(1)],
  'a window of the connection that is widened by nothing': [
    ERROR_CODE.protocolError,
    numberFrame(windowUpdate, 0, 0),
  ],
  'a window of the connection that is too wide': [
    ERROR_CODE.flowControlError,
    numberFrame(windowUpdate, 0, MAX_INT31),
  ],
  'an initial window that makes another too wide': [
    ERROR_CODE.flowControlError,
    callOf(1),
    numberFrame(windowUpdate, 1, MAX_INT31 - 65_535),
    settingsOf({ initialWindowSize: 65_536 }),
  ],
}

for (const [what, [code, ...frames]] of Object.entries(SERVER_BREACHES)) {
  test(`the connection ends with GOAWAY, and its calls with it, after ${what}`, async (t) => {
    const served = serve(t)
    served.raw.send(...frames)

    await closedWith(served, code)

    for (const call of served.calls) assert.deepEqual(call.ends, [{ how: 'lost' }])
  })
}

const STREAM_BREACHES: Readonly<Record<string, readonly [number, ...Buffer[]]>> = {
  'DATA behind its end': [ERROR_CODE.streamClosed, dataOf(1, 1, endStream), dataOf(1, 1)],
  'trailers behind its end': [
    ERROR_CODE.streamClosed,
    dataOf(1, 1, endStream),
    headersOf(1, ['a', '1'], endStream),
  ],
  'headers in the midst of it': [ERROR_CODE.protocolError, headersOf(1, ['a', '1'])],
  'trailers with a pseudo-header': [
    ERROR_CODE.protocolError,
    headersOf(1, [':path', '/'], endStream),
  ],
  'a window widened by nothing': [ERROR_CODE.protocolError, numberFrame(windowUpdate, 1, 0)],
  'a window that is too wide': [
    ERROR_CODE.flowControlError,
    numberFrame(windowUpdate, 1, MAX_INT31),
  ],
}

for (const [what, [code, ...frames]] of Object.entries(STREAM_BREACHES)) {
  test(`a stream alone is reset after ${what}`, async (t) => {
    const { raw, calls } = serve(t)
    raw.send(callOf(1), callOf(3), ...frames)
    await raw.settled()

    assert.deepEqual(resets(raw), { 1: code })
    assert.deepEqual(
      calls.map(({ ends }) => ends),
      [[{ how: 'streamError' }], []],
    )
  })
}

test('a stream has its window, and who sends more is reset', async (t) => {
  const { raw, calls } = serve(t, { keeps: true })
  raw.send(callOf(1))
  for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += FRAME_BYTES) {
    raw.send(dataOf(1, FRAME_BYTES))
  }
  await raw.settled()
  assert.deepEqual([resets(raw), calls[0]?.bytes], [{}, STREAM_WINDOW_BYTES])
  assert.equal(raw.of(windowUpdate, 1).length, 0)

  raw.send(dataOf(1, 1))
  await raw.settled()

  assert.deepEqual(resets(raw), { 1: ERROR_CODE.flowControlError })
  assert.equal(calls[0]?.bytes, STREAM_WINDOW_BYTES)
})

test('padding takes window, and gives it back by itself', async (t) => {
  const { raw } = serve(t, { keeps: true })
  const padding = Buffer.alloc(256)
  padding.writeUInt8(255)
  raw.send(callOf(1))
  for (let sent = 0; sent < 2 * STREAM_WINDOW_BYTES; sent += padding.length) {
    raw.send(frame(data, FRAME_FLAG.padded, 1, padding))
  }
  await raw.settled()

  assert.deepEqual(resets(raw), {})
  const given = raw.of(windowUpdate, 1).reduce((sum, each) => sum + each.payload.readUInt32BE(), 0)
  assert.ok(given > STREAM_WINDOW_BYTES, String(given))
})

test('the window of the connection is given back, for calls that have ended too', async (t) => {
  const { raw } = serve(t, { keeps: true })
  raw.send(callOf(1), numberFrame(rstStream, 1, ERROR_CODE.cancel))
  const given = (): number =>
    raw.of(windowUpdate, 0).reduce((sum, each) => sum + each.payload.readUInt32BE(), 0)
  await raw.settled()
  assert.equal(given(), CONNECTION_WINDOW_BYTES - 65_535)

  for (let sent = 0; sent < CONNECTION_WINDOW_BYTES / 4; sent += FRAME_BYTES) {
    raw.send(dataOf(1, FRAME_BYTES))
  }
  await raw.settled()

  assert.equal(given(), CONNECTION_WINDOW_BYTES - 65_535 + CONNECTION_WINDOW_BYTES / 4)
})

test('the window of the connection holds for all streams, and comes back with consumption alone', async (t) => {
  const { raw, calls } = serve(t, { keeps: true })
  const half = CONNECTION_WINDOW_BYTES / 2
  for (const id of [1, 3]) {
    raw.send(callOf(id))
    for (let sent = 0; sent < half; sent += FRAME_BYTES) raw.send(dataOf(id, FRAME_BYTES))
  }
  await raw.settled()
  const given = (): number =>
    raw.of(windowUpdate, 0).reduce((sum, each) => sum + each.payload.readUInt32BE(), 0)
  const before = CONNECTION_WINDOW_BYTES - 65_535
  assert.equal(given(), before)

  calls[0]?.stream?.consumed(half)
  await raw.settled()
  assert.equal(given(), before + half)
  calls[1]?.stream?.reset(ERROR_CODE.cancel)
  await raw.settled()

  assert.equal(given(), before + 2 * half)
})

test('a client that sends beyond the window of the connection is left', async (t) => {
  const served = serve(t, { keeps: true })
  const streams = CONNECTION_WINDOW_BYTES / STREAM_WINDOW_BYTES
  for (let id = 1; id <= 2 * streams + 1; id += 2) {
    served.raw.send(callOf(id))
    for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += FRAME_BYTES)
      served.raw.send(dataOf(id, FRAME_BYTES))
  }

  await closedWith(served, ERROR_CODE.flowControlError)
})

test('calls with much in their headers are refused above 8 MiB of them, until some have ended', async (t) => {
  const { raw, calls } = serve(t)
  const long = ['x-long', 'v'.repeat(100_000)]
  const most = Math.ceil(LIMITS.callBytes / (100_000 + LIMITS.streamCostBytes))
  const begin = (id: number): void => {
    const block = encodeHeaders({ fields: [...REQUEST.fields, ...long] })
    const parts = Math.ceil(block.length / FRAME_BYTES)
    for (let n = 0; n < parts; n += 1) {
      const type = n === 0 ? headers : FRAME_TYPE.continuation
      const part = block.subarray(n * FRAME_BYTES, (n + 1) * FRAME_BYTES)
      raw.send(frame(type, n === parts - 1 ? endHeaders : 0, id, part))
    }
  }
  for (let n = 0; n <= most; n += 1) begin(2 * n + 1)
  await raw.settled()
  const refused = { [2 * most + 1]: ERROR_CODE.refusedStream }
  assert.deepEqual([calls.length, resets(raw)], [most, refused])

  calls[0]?.stream?.reset(ERROR_CODE.cancel)
  begin(2 * most + 3)
  await raw.settled()

  assert.equal(calls.length, most + 1)
})

test('while too much is queued for a client new calls are refused and bodies end their call', async (t) => {
  const queue = new QueuedBytes(new QueueTotal(1_000_000), 1_000)
  const calls: RecordedStream[] = []
  const { raw } = rawPair(t, {
    role: 'server',
    queue,
    onStream: (stream) => {
      const call = Object.assign(new RecordedStream(), { stream })
      calls.push(call)
      return call
    },
  })
  queue.add(-LIMITS.streamCostBytes)
  raw.send(OPENING, callOf(1))
  await raw.settled()
  queue.add(1_001)
  raw.send(callOf(3), dataOf(1, 10))
  await raw.settled()

  assert.deepEqual(resets(raw), { 1: ERROR_CODE.enhanceYourCalm, 3: ERROR_CODE.refusedStream })
  assert.deepEqual(
    calls.map(({ ends }) => ends),
    [[{ how: 'overload' }]],
  )
})

const IDLE: Readonly<Record<string, (n: number) => Buffer>> = {
  SETTINGS: () => SETTINGS,
  'acknowledgements of SETTINGS': () => SETTINGS_ACK,
  PING: () => frame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(8)),
  PRIORITY: () => frame(FRAME_TYPE.priority, 0, 1, Buffer.alloc(5)),
  'frames of an unknown type': () => frame(77, 0, 0, EMPTY),
  'windows that are widened by one byte': () => numberFrame(windowUpdate, 0, 1),
  'empty DATA': () => dataOf(1, 0),
  'DATA of padding alone': () => frame(data, FRAME_FLAG.padded, 1, Buffer.of(1, 0)),
  'calls that are reset at once': (n) =>
    Buffer.concat([callOf(2 * n + 3), numberFrame(rstStream, 2 * n + 3, ERROR_CODE.cancel)]),
  'calls that we have to reset': (n) =>
    Buffer.concat([callOf(2 * n + 3, endStream), dataOf(2 * n + 3, 1)]),
  'calls that are none': (n) => headersOf(2 * n + 3, [':path', '/']),
}

for (const [what, make] of Object.entries(IDLE)) {
  test(`a flood ends the connection with ENHANCE_YOUR_CALM: ${what}`, async (t) => {
    const calls: RecordedStream[] = []
    const pair = rawPair(t, {
      role: 'server',
      now: () => 0,
      onStream: () => {
        const call = new RecordedStream()
        calls.push(call)
        return call
      },
    })
    pair.raw.send(OPENING, callOf(1))
    await pair.raw.settled()
    for (let n = 0; n < LIMITS.idleFrames; n += 1) pair.raw.send(make(n))

    await closedWith(pair, ERROR_CODE.enhanceYourCalm)

    assert.ok(calls.every(({ ends }) => ends.length === 1))
  })
}

test('a client that is answered may send a PING and two windows for each answer, for ever', async (t) => {
  const { raw, connection } = rawPair(t, {
    role: 'server',
    now: () => 0,
    onStream: (stream) => {
      stream.sendHeaders(ANSWER, false)
      stream.sendHeaders(TRAILERS, true)
      return new RecordedStream()
    },
  })
  raw.send(OPENING)
  for (let n = 0; n < 3 * LIMITS.idleFrames; n += 1) {
    raw.send(callOf(2 * n + 1, endStream), frame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(8)))
    raw.send(numberFrame(windowUpdate, 0, 1), numberFrame(windowUpdate, 2 * n + 1, 1))
    if (n % 500 === 0) await raw.settled()
  }
  await raw.settled()

  assert.equal(connection.isOpen, true)
})

test('a client may cancel all its calls at once, and again', async (t) => {
  const { raw, connection } = serve(t)
  let id = 1
  for (let round = 0; round < 2; round += 1) {
    const ids = Array.from({ length: MAX_STREAMS }, (_, n) => id + 2 * n)
    raw.send(...ids.map((each) => callOf(each)))
    raw.send(...ids.map((each) => numberFrame(rstStream, each, ERROR_CODE.cancel)))
    id += 2 * MAX_STREAMS
  }
  await raw.settled()

  assert.equal(connection.isOpen, true)
})

test('a header block that is not whole counts for its client', async (t) => {
  const queue = new QueuedBytes()
  const { raw } = rawPair(t, { role: 'server', queue })
  raw.send(OPENING, frame(headers, 0, 1, callBlock(PATH)))
  raw.send(frame(FRAME_TYPE.continuation, 0, 1, Buffer.alloc(FRAME_BYTES, 0x82)))
  await nextTurn()
  assert.ok(queue.bytes > FRAME_BYTES, String(queue.bytes))

  raw.send(frame(FRAME_TYPE.continuation, endHeaders, 1, EMPTY))
  await raw.settled()

  assert.ok(queue.bytes < FRAME_BYTES, String(queue.bytes))
})

test('settings and PING are answered', async (t) => {
  const { raw } = serve(t)
  raw.send(SETTINGS, settingsOf({ maxConcurrentStreams: 0 }))
  await raw.settled()

  const acks = raw.of(FRAME_TYPE.settings).filter(({ flags }) => flags === FRAME_FLAG.ack)
  assert.equal(acks.length, 3)
})

/** A call is under way, a PING has been read, and no time passes by itself. */
async function pinged(t: TestContext): Promise<Served> {
  const served = serve(t)
  const { calls, raw } = served
  raw.send(callOf(1))
  await raw.settled()
  t.mock.timers.enable({ apis: ['setTimeout'] })
  raw.send(frame(FRAME_TYPE.ping, 0, 0, Buffer.from('a little')), dataOf(1, 7))
  while (calls[0]?.bytes !== 7) await nextTurn()
  return served
}

test('a PING is answered soon, if nothing else is to be sent', async (t) => {
  const { raw } = await pinged(t)
  await nextTurn()
  assert.equal(raw.of(FRAME_TYPE.ping).length, 1)

  t.mock.timers.tick(LIMITS.lateMs)
  const { flags } = await raw.frame(({ payload }) => String(payload) === 'a little')

  assert.equal(flags, FRAME_FLAG.ack)
})

test('a PING is answered with what is sent next', async (t) => {
  const { raw, calls } = await pinged(t)

  calls[0]?.stream?.sendHeaders(ANSWER, true)
  await raw.frame(({ type }) => type === headers)

  const types = raw.received.slice(-2).map(({ type }) => type)
  assert.deepEqual(types, [FRAME_TYPE.ping, headers])
})

test('a client that has used its last number is let go with its last call', async (t) => {
  const { raw, calls, closed } = serve(t)
  raw.send(callOf(1, endStream), callOf(MAX_INT31, endStream))
  await raw.settled()
  calls[1]?.stream?.sendHeaders(ANSWER, true)
  await raw.settled()

  calls[0]?.stream?.sendHeaders(ANSWER, true)

  assert.equal(await closed, undefined)
  assert.deepEqual(raw.of(goAway), [])
})

test('who breaks the rules in one breath with its first words has not greeted us', async (t) => {
  let greetings = 0
  const pair = rawPair(t, {
    role: 'server',
    onSettingsReceived: () => {
      greetings += 1
    },
  })
  pair.raw.send(Buffer.concat([OPENING, dataOf(1, 1)]))

  await closedWith(pair, ERROR_CODE.protocolError)

  assert.equal(greetings, 0)
})

// As the client.

test('a call goes out, and its answer is told', async (t) => {
  const { raw, connection } = dial(t)
  const call = begin(connection)
  call.stream.sendData(Buffer.from('ask'), true)
  await raw.frame(({ type }) => type === data)
  raw.send(
    headersOf(1, ANSWER.fields),
    frame(data, 0, 1, Buffer.from('answer')),
    headersOf(1, TRAILERS.fields, endStream),
  )

  assert.deepEqual(await call.ended, { how: 'done' })
  assert.deepEqual(
    call.heard.map(({ fields }) => fields),
    [ANSWER.fields, TRAILERS.fields],
  )
  assert.deepEqual([String(call.body), call.lastWords], ['answer', 1])
})

test('an answer of headers only is told as such', async (t) => {
  const { raw, connection } = dial(t)
  const call = begin(connection, true)
  await raw.frame(({ type }) => type === headers)
  raw.send(headersOf(1, ANSWER.fields, endStream))

  await call.ended

  assert.deepEqual([call.heard.length, call.lastWords], [1, 1])
})

test('1xx is passed over, however often', async (t) => {
  const { raw, connection } = dial(t)
  const call = begin(connection, true)
  await raw.frame(({ type }) => type === headers)
  raw.send(
    headersOf(1, [':status', '100']),
    headersOf(1, [':status', '103', 'link', 'x']),
    headersOf(1, ANSWER.fields, endStream),
  )
  await call.ended

  assert.deepEqual(
    call.heard.map(({ fields }) => fields),
    [ANSWER.fields],
  )
})

const ANSWER_BREACHES: Readonly<Record<string, readonly [number, ...Buffer[]]>> = {
  'no status': [ERROR_CODE.protocolError, headersOf(1, ['a', '1'])],
  '1xx that ends it': [ERROR_CODE.protocolError, headersOf(1, [':status', '100'], endStream)],
  'a body before its headers': [ERROR_CODE.protocolError, dataOf(1, 1)],
  'an end before its headers': [ERROR_CODE.protocolError, dataOf(1, 0, endStream)],
  'headers twice': [ERROR_CODE.protocolError, headersOf(1, ANSWER.fields), callOf(1)],
  'trailers that do not end it': [
    ERROR_CODE.protocolError,
    headersOf(1, ANSWER.fields),
    headersOf(1, TRAILERS.fields),
  ],
  'a body behind its end': [
    ERROR_CODE.streamClosed,
    headersOf(1, ANSWER.fields, endStream),
    dataOf(1, 1),
  ],
}

for (const [what, [code, ...frames]] of Object.entries(ANSWER_BREACHES)) {
  test(`an answer with ${what} is reset alone`, async (t) => {
    const { raw, connection } = dial(t)
    const calls = [begin(connection), begin(connection)]
    await raw.frame(({ type, streamId }) => type === headers && streamId === 3)
    raw.send(...frames)
    await raw.settled()

    assert.deepEqual(resets(raw), { 1: code })
    assert.deepEqual(
      calls.map(({ ends }) => ends),
      [[{ how: 'streamError' }], []],
    )
  })
}

for (const [what, bytes] of Object.entries({
  'a stream of its own': headersOf(2, ANSWER.fields),
  'a stream that we never began': headersOf(3, ANSWER.fields),
})) {
  test(`a server that speaks of ${what} is left`, async (t) => {
    const pair = dial(t)
    const call = begin(pair.connection)
    await pair.raw.frame(({ type }) => type === headers)
    pair.raw.send(bytes)

    await closedWith(pair, ERROR_CODE.protocolError)

    assert.deepEqual(call.ends, [{ how: 'lost' }])
  })
}

test('a call that ends before it is sent never reaches the server', async (t) => {
  const { raw, connection } = dial(t)
  const early = connection.open(new RecordedStream())
  early.reset(ERROR_CODE.cancel)
  early.begin(REQUEST, true)
  const late = begin(connection, true)
  late.stream.reset(ERROR_CODE.cancel)
  await raw.settled()
  const last = begin(connection, true)
  await raw.settled()

  assert.deepEqual(late.ends, [{ how: 'local' }])
  assert.equal(last.stream.id, 1)
  assert.deepEqual(resets(raw), {})
})

test('a call that is reset half closed is reset at the server, and once', async (t) => {
  const { raw, connection } = dial(t)
  const call = begin(connection, true)
  await raw.settled()
  call.stream.reset(ERROR_CODE.cancel)
  call.stream.reset(ERROR_CODE.cancel)
  await raw.settled()

  assert.deepEqual(resets(raw), { 1: ERROR_CODE.cancel })
  assert.deepEqual(call.ends, [{ how: 'local' }])
})

test('calls beyond what the server takes at a time wait, in order', async (t) => {
  const { raw, connection } = dial(t, { maxConcurrentStreams: 2 })
  await raw.settled()
  const calls = Array.from({ length: 5 }, () => begin(connection, true))
  calls[3]?.stream.reset(ERROR_CODE.cancel)
  await raw.settled()
  assert.deepEqual(
    calls.map(({ stream }) => stream.id),
    [1, 3, 0, 0, 0],
  )

  raw.send(headersOf(3, ANSWER.fields, endStream))
  await raw.settled()
  assert.deepEqual(
    calls.map(({ stream }) => stream.id),
    [1, 3, 5, 0, 0],
  )
  raw.send(headersOf(1, ANSWER.fields, endStream))
  await raw.settled()

  assert.deepEqual(
    calls.map(({ stream }) => stream.id),
    [1, 3, 5, 0, 7],
  )
  assert.deepEqual(resets(raw), {})
})

test('a server that takes none lets calls wait until it takes some', async (t) => {
  const { raw, connection } = dial(t, { maxConcurrentStreams: 0 })
  await raw.settled()
  const call = begin(connection, true)
  await raw.settled()
  assert.equal(call.stream.id, 0)

  raw.send(settingsOf({ maxConcurrentStreams: 1 }))
  await raw.settled()

  assert.equal(call.stream.id, 1)
})

test('after GOAWAY of the server calls that it did not look at are refused', async (t) => {
  const { raw, connection, closed } = dial(t, { maxConcurrentStreams: 2 })
  await raw.settled()
  const refused = { how: 'reset', code: ERROR_CODE.refusedStream }
  const calls = Array.from({ length: 3 }, () => begin(connection, true))
  await raw.settled()
  raw.send(goAwayFrame(1, ERROR_CODE.noError))
  await raw.settled()
  assert.equal(connection.isOpen, false)
  assert.deepEqual(
    calls.map(({ ends }) => ends),
    [[], [refused], [refused]],
  )

  raw.send(headersOf(1, ANSWER.fields, endStream))

  assert.equal(await closed, undefined)
  assert.deepEqual(calls[0]?.ends, [{ how: 'done' }])
})

test('a call that begins after GOAWAY of the server is gone, and never sent', async (t) => {
  const { raw, connection } = dial(t)
  const first = begin(connection, true)
  await raw.settled()
  raw.send(goAwayFrame(1, ERROR_CODE.noError))
  await raw.settled()

  const late = begin(connection, true)

  assert.deepEqual(await late.ended, { how: 'lost' })
  await raw.settled()
  assert.equal(raw.of(headers).length, 1)
  assert.deepEqual(first.ends, [])
})

test('a call that begins when the connection has closed is gone', async (t) => {
  const { connection, closed } = dial(t)
  connection.destroy()
  await closed

  assert.deepEqual(await begin(connection, true).ended, { how: 'lost' })
})

test('settings that come first hold for the first call', async (t) => {
  const { raw, connection } = dial(t, { initialWindowSize: 3 })
  await raw.settled()
  const call = begin(connection)
  call.stream.sendData(Buffer.alloc(10), true)
  await raw.settled()
  assert.equal(raw.of(data)[0]?.payload.length, 3)

  raw.send(SETTINGS_ACK, settingsOf({ initialWindowSize: 10 }))
  await raw.settled()

  assert.equal(call.stream.waitingBytes, 0)
  assert.equal(raw.of(data).length, 2)
})

test('an empty frame of DATA is told, and costs nothing', async (t) => {
  const { raw, calls } = serve(t)
  raw.send(callOf(1), frame(data, 0, 1, EMPTY), frame(data, endStream, 1, EMPTY))
  await raw.settled()

  assert.deepEqual([calls[0]?.chunks.length, calls[0]?.lastWords], [2, 1])
  assert.equal(raw.of(windowUpdate, 1).length, 0)
})

test('GOAWAY with an error ends what is under way, for who says it has to close', async (t) => {
  const { raw, connection, closed } = dial(t)
  const calls = [begin(connection, true), begin(connection, true)]
  await raw.settled()

  raw.send(goAwayFrame(1, ERROR_CODE.compressionError))

  assert.match(String(await closed), /GOAWAY with error 9/)
  assert.deepEqual(
    calls.map(({ ends }) => ends),
    [[{ how: 'lost' }], [{ how: 'reset', code: ERROR_CODE.refusedStream }]],
  )
})

test('what goes wrong in who is told of the end of a stream is no matter of the others', async (t) => {
  const defects: unknown[] = []
  const wrong = new Error('wrong')
  const { raw, connection, closed } = rawPair(t, {
    role: 'client',
    onDefect: (error) => defects.push(error),
  })
  const first = begin(connection, true)
  first.onEnd = () => {
    throw wrong
  }
  const second = begin(connection, true)
  raw.send(SETTINGS)
  await raw.settled()

  raw.send(goAwayFrame(0, ERROR_CODE.internalError))

  await closed
  assert.deepEqual(defects, [wrong])
  assert.equal(second.ends.length, 1)
})

test('who goes before the client has spoken says SETTINGS first', async (t) => {
  const { raw, connection, closed } = rawPair(t, { role: 'server' })

  connection.goAway()
  raw.send(OPENING)
  await closed

  assert.deepEqual(
    raw.received.map(({ type }) => type).filter((type) => type === FRAME_TYPE.goAway),
    [],
  )
})

test('who reads slowly has all the time it takes to take the last answer off us', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [here, there] = duplexPair()
  t.after(() => here.destroy())
  const body = Buffer.alloc(200_000, 'x')
  const connection = new Connection(here, {
    role: 'server',
    onClosed: () => {},
    onDefect: raise,
    onStream: (stream) => {
      stream.sendHeaders(ANSWER, false)
      stream.sendData(body, true)
      return new RecordedStream()
    },
  })
  const settings = settingsOf({ initialWindowSize: body.length })
  const window = numberFrame(windowUpdate, 0, body.length)
  there.write(Buffer.concat([PREFACE, settings, window, callOf(1, endStream)]))
  await new Promise(setImmediate)

  connection.goAway()
  t.mock.timers.tick(60_000)

  assert.equal(here.destroyed, false)
  const read: Buffer[] = []
  for await (const chunk of there) read.push(chunk as Buffer)
  assert.ok(Buffer.concat(read).length > body.length)
})
