import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { constants } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { FRAME_FLAG, FRAME_TYPE, frame } from '../../../src/http2/frames.ts'
import { hanging, respond } from '../../support/fake-runtime.ts'
import { answerOf, openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { literal, plain } from '../../support/hpack-fields.ts'
import { startRawServer } from '../../support/listen.ts'
import { SETTINGS } from '../../support/raw-http2-client.ts'
import { startRelay } from '../../support/relay.ts'

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM } = constants
const PULL = '/runtime.v1.ImageService/PullImage'
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents'
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' }

test('hands the deadline on unchanged, and the cancellation when it is over', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const stream = openGrpcClient(t, path).open(PULL, { 'grpc-timeout': '300m' })
  stream.end(framed(Buffer.from('x')))

  const call = await arrived
  stream.close(NGHTTP2_CANCEL)
  const resetCode = await call.closed

  assert.equal(call.headers['grpc-timeout'], '300m')
  assert.equal(resetCode, NGHTTP2_CANCEL)
})

for (const [what, ends] of [
  ['while its request is open', false],
  ['after its request has ended', true],
] as const) {
  test(`tells the runtime when the client cancels ${what}`, async (t) => {
    const { runtime, path } = await startRelay(t)
    const { arrived, hang } = hanging()
    runtime.handle(PULL, hang)
    const stream = openGrpcClient(t, path).open(PULL)
    if (ends) stream.end()
    else stream.write(framed(Buffer.from('x')))
    const call = await arrived

    stream.close(NGHTTP2_CANCEL)

    assert.equal(await call.closed, NGHTTP2_CANCEL)
  })
}

test('tells the runtime when the client cancels in the middle of an answer', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(EVENTS, hang)
  const stream = openGrpcClient(t, path).open(EVENTS)
  stream.end()
  const call = await arrived
  call.stream.respond(HEADERS, { waitForTrailers: true })
  call.stream.write(framed(Buffer.from('event')))
  await once(stream, 'data')

  stream.close(NGHTTP2_CANCEL)

  assert.equal(await call.closed, NGHTTP2_CANCEL)
})

test('tells the runtime when the client is gone altogether', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const client = openGrpcClient(t, path)
  client.open(PULL).end()
  const call = await arrived

  await client.close()

  assert.equal(await call.closed, NGHTTP2_CANCEL)
})

for (const code of [NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM]) {
  test(`hands a reset of the runtime on with its code, ${code}`, async (t) => {
    const { runtime, path } = await startRelay(t)
    runtime.handle(PULL, ({ stream }) => stream.close(code))

    const answer = await openGrpcClient(t, path).call(PULL)

    assert.equal(answer.resetCode, code)
    assert.equal(answer.code, undefined)
    assert.equal(runtime.connections, 1)
  })
}

test('hands a reset on behind the data that came before it', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const stream = openGrpcClient(t, path).open(PULL)
  stream.end()
  const answer = answerOf(stream)
  const call = await arrived
  call.stream.respond(HEADERS, { waitForTrailers: true })
  call.stream.write(framed(Buffer.from('last words')), () =>
    call.stream.close(NGHTTP2_INTERNAL_ERROR),
  )

  const { messages, resetCode, code } = await answer

  assert.deepEqual(messages.map(String), ['last words'])
  assert.equal(resetCode, NGHTTP2_INTERNAL_ERROR)
  assert.equal(code, undefined)
})

test('says Unavailable when the socket is not there, and works as soon as it is', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(PULL, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, path)
  await runtime.stop()

  const before = await client.call(PULL)
  await runtime.start()
  const after = await client.call(PULL)

  assert.equal(before.code, 14)
  assert.equal(before.trailersOnly, true)
  assert.equal(
    before.message,
    `connection error: desc = "transport: error while dialing: dial unix ${runtime.path}: connect: no such file or directory"`,
  )
  assert.equal(after.code, 0)
})

test('says Unavailable when the socket is a file that nobody serves', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(PULL, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, path)
  await runtime.stop()
  await writeFile(runtime.path, '')

  const answers = await Promise.all([client.call(PULL), client.call(PULL), client.call(PULL)])

  for (const { code, message } of answers) {
    assert.equal(code, 14)
    assert.match(message, /dial unix .*runtime\.sock: connect: connection refused/)
  }
})

test('says Unavailable when the runtime dies before it has answered', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const client = openGrpcClient(t, path)
  const answer = client.call(PULL)
  await arrived

  await runtime.stop()
  const { code, message, trailersOnly } = await answer

  assert.equal(code, 14)
  assert.equal(message, `error reading from server: read unix ${runtime.path}: EOF`)
  assert.equal(trailersOnly, true)
})

test('says Unavailable in trailers when the runtime dies in the middle of an answer', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(EVENTS, hang)
  const client = openGrpcClient(t, path)
  const stream = client.open(EVENTS)
  const answer = answerOf(stream)
  const call = await arrived
  call.stream.respond(HEADERS, { waitForTrailers: true })
  call.stream.write(framed(Buffer.from('event')))
  await once(stream, 'data')

  await runtime.stop()
  const { code, messages, trailersOnly } = await answer

  assert.equal(code, 14)
  assert.deepEqual(messages.map(String), ['event'])
  assert.equal(trailersOnly, false)
})

test('takes a new connection when the runtime asks it to go; calls under way finish', async (t) => {
  const { runtime, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle('/x.Y/Long', hang)
  runtime.handle(PULL, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, path)
  const long = client.call('/x.Y/Long')
  const call = await arrived
  const [session] = runtime.sessions
  session?.close()
  await new Promise((resolve) => session?.ping(resolve))

  const short = await client.call(PULL)
  assert.equal(runtime.connections, 2)
  respond(call.stream, [Buffer.from('done')])
  const { code, messages } = await long

  assert.equal(short.code, 0)
  assert.equal(code, 0)
  assert.deepEqual(messages.map(String), ['done'])
})

test('says Internal to an answer that is none: there is no status in it', async (t) => {
  const { runtime, path } = await startRelay(t)
  await runtime.stop()
  const noStatus = literal('without', plain('x-status'), plain('200'))
  const answer = (socket: Socket): void => {
    socket.write(SETTINGS)
    socket.once('data', () => {
      const flags = FRAME_FLAG.endHeaders | FRAME_FLAG.endStream
      socket.write(frame(FRAME_TYPE.headers, flags, 1, noStatus))
    })
  }
  await startRawServer(t, answer, { path: runtime.path })

  const { code, message } = await openGrpcClient(t, path).call(PULL)

  assert.equal(code, 13)
  assert.equal(message, 'the answer of the server behind could not be relayed')
})

test('closes a connection that does not speak HTTP/2', async (t) => {
  const { path } = await startRelay(t)
  const socket = connect(path)
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')

  await once(socket.resume(), 'close')

  assert.equal(socket.bytesRead, 0)
})
