import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { ERROR_CODE, FRAME_FLAG, FRAME_TYPE, frame, PREFACE } from '../../../src/http2/frames.ts'
import { hanging, respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { callBlock, OPENING } from '../../support/hostile-frames.ts'
import { indexed, literal, plain } from '../../support/hpack-fields.ts'
import { startRawServer } from '../../support/listen.ts'
import { openRawHttp2Client, SETTINGS } from '../../support/raw-http2-client.ts'
import { startRelay } from '../../support/relay.ts'
import { temporaryFolder } from '../../support/stack.ts'

const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents'
const NOTHING = Buffer.alloc(0)
const CALL = frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 1, callBlock(EVENTS))

const PING = frame(FRAME_TYPE.ping, 0, 0, Buffer.from('are you?'))

const BREACHES = {
  'a PING of the wrong size': frame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(3)),
  'CONTINUATION of nothing': frame(FRAME_TYPE.continuation, FRAME_FLAG.endHeaders, 1, NOTHING),
  'DATA for no call': frame(FRAME_TYPE.data, 0, 9, Buffer.alloc(3)),
  'a header that is in no table': frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 3, indexed(99)),
}

for (const [breach, bytes] of Object.entries(BREACHES)) {
  test(`after ${breach} the connection is ended, and the call in it cancelled`, async (t) => {
    const { runtime, path } = await startRelay(t)
    const { arrived, hang } = hanging()
    runtime.handle(EVENTS, hang)
    const client = openRawHttp2Client(t, path)
    const ended = once(client.socket, 'close')
    client.send(OPENING, CALL)
    const call = await arrived

    client.send(bytes)

    await ended
    assert.equal(await call.closed, 8)
  })
}

for (const [what, said] of [
  ['says nothing', NOTHING],
  ['stops in the preface', PREFACE.subarray(0, 7)],
  ['stops before its SETTINGS', PREFACE],
] as const) {
  test(`closes a connection that ${what} in time`, async (t) => {
    const { path } = await startRelay(t, { openingMs: 50 })
    const client = openRawHttp2Client(t, path)
    const closed = new Promise((resolve) => client.socket.once('close', resolve))
    client.send(said)

    // By a reset too, where what was said came after the time was up.
    await closed

    assert.ok(client.received.length <= 2)
  })
}

test('a client that has begun to speak may be silent for as long as it likes', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { runtime, path } = await startRelay(t, { openingMs: 20 })
  const { arrived, hang } = hanging()
  runtime.handle(EVENTS, hang)
  const answer = openGrpcClient(t, path).call(EVENTS)
  const call = await arrived

  t.mock.timers.tick(60_000)
  respond(call.stream, [Buffer.from('late')])

  assert.deepEqual((await answer).messages.map(String), ['late'])
})

test('a client that floods us with PINGs and reads no answer is cut off', async (t) => {
  const { path } = await startRelay(t)
  const client = openRawHttp2Client(t, path)
  client.socket.pause()
  const pings = Buffer.concat(
    Array.from({ length: 4_000 }, () => frame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(8))),
  )
  client.send(OPENING)

  const cutOff = once(client.socket, 'error')
  const flood = (error?: Error | null): void => {
    if (!error) client.socket.write(pings, flood)
  }
  flood()

  assert.match(String((await cutOff)[0].code), /EPIPE|ECONNRESET/)
})

test('more than the window of a stream resets that stream alone', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(EVENTS, hang)
  const client = openRawHttp2Client(t, path)
  client.send(OPENING, CALL)
  const call = await arrived
  call.stream.pause()
  const data = frame(FRAME_TYPE.data, 0, 1, Buffer.alloc(16_384))

  for (let sent = 0; sent < 400; sent += 1) client.send(data)
  const reset = await client.frame(({ type }) => type === FRAME_TYPE.rstStream)
  client.send(PING)
  await client.frame(({ type }) => type === FRAME_TYPE.ping)

  assert.equal(reset.payload.readUInt32BE(), ERROR_CODE.flowControlError)
  assert.equal(await call.closed, ERROR_CODE.cancel)
})

test('trailers of a request end it, and are not carried over', async (t) => {
  const { runtime, path } = await startRelay(t)
  const trailers: unknown[] = []
  runtime.handle(EVENTS, async ({ request, stream }) => {
    stream.on('trailers', (each) => trailers.push(each))
    respond(stream, await request)
  })
  const client = openRawHttp2Client(t, path)
  const END = FRAME_FLAG.endHeaders | FRAME_FLAG.endStream
  client.send(
    OPENING,
    CALL,
    frame(FRAME_TYPE.data, 0, 1, framed(Buffer.from('ask'))),
    frame(FRAME_TYPE.headers, END, 1, literal('without', plain('a'), plain('1'))),
  )

  assert.deepEqual(await client.body(1), framed(Buffer.from('ask')))
  assert.deepEqual(trailers, [])
})

test('a body ahead of its headers is never passed on', async (t) => {
  const folder = temporaryFolder(t)
  const wild = `${folder}/wild.sock`
  const early = Buffer.concat([SETTINGS, frame(FRAME_TYPE.data, 0, 1, Buffer.from('too soon'))])
  await startRawServer(t, (socket) => socket.once('data', () => socket.write(early)), {
    path: wild,
  })
  const { path } = await startRelay(t, { runtimeSocket: wild })

  const { code, messages } = await openGrpcClient(t, path).call(EVENTS)

  assert.deepEqual([code, messages], [13, []])
})
