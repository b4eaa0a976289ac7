import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { pino } from 'pino'
import { type BodyEdit, bodyEdit } from '../../../src/cri/rewrite/body-edit.ts'
import {
  FRAME_FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  frame,
  PREFACE,
} from '../../../src/http2/frames.ts'
import { type RuntimeCall, respond } from '../../support/fake-runtime.ts'
import { answerOf, type GrpcClient, openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import {
  call,
  callBlock,
  FRAME,
  number32,
  OPENING,
  SETTINGS,
} from '../../support/hostile-frames.ts'
import { openRawHttp2Client } from '../../support/raw-http2-client.ts'
import { type FrameHeader, readFrameHeader } from '../../support/raw-http2-end.ts'
import { startRelay } from '../../support/relay.ts'
import { temporaryFolder } from '../../support/stack.ts'
import { until } from '../../support/until.ts'

const LIST = '/runtime.v1.ImageService/ListImages'
const CREATE = '/runtime.v1.RuntimeService/CreateContainer'
const STATUS = '/runtime.v1.RuntimeService/ContainerStatus'
const SIXTEEN_MIB = 16 * 1024 * 1024
const CHUNK = Buffer.alloc(64 * 1024, 7)

test('carries 16 MiB both ways, also for a client whose authority is repaired', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(LIST, async ({ stream, request }) => respond(stream, await request))
  const message = Buffer.alloc(SIXTEEN_MIB, 'image ')

  for (const metadata of [{}, { ':authority': path }]) {
    const answer = await openGrpcClient(t, path).call(LIST, [message], metadata)

    assert.equal(answer.code, 0)
    assert.equal(answer.messages.length, 1)
    assert.equal(answer.messages[0]?.equals(message), true)
  }
})

test('carries metadata and trailers of 50,000 bytes', async (t) => {
  const { runtime, path } = await startRelay(t)
  const long = 'm'.repeat(50_000)
  runtime.handle(STATUS, ({ stream }) =>
    respond(stream, [], { trailers: { 'grpc-status': '2', 'grpc-message': long } }),
  )
  const client = openGrpcClient(t, path)

  const answer = await client.call(STATUS, [], { 'x-long': long })

  assert.equal(answer.message, long)
  assert.equal(runtime.calls[0]?.headers['x-long'], long)
})

test('serves 1,000 calls at once over one connection while others stay open', async (t) => {
  const { runtime, path } = await startRelay(t)
  let pull: RuntimeCall | undefined
  runtime.handle('/runtime.v1.ImageService/PullImage', (call) => {
    pull = call
  })
  runtime.handle(STATUS, async ({ stream, request }) => respond(stream, await request))
  const client = openGrpcClient(t, path)
  const pulling = client.call('/runtime.v1.ImageService/PullImage')

  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => client.call(STATUS, [Buffer.from(`call ${i}`)])),
  )
  if (pull !== undefined) respond(pull.stream, [Buffer.from('pulled')])

  assert.deepEqual(
    answers.map(({ code, messages }) => [code, ...messages.map(String)]),
    answers.map((_, i) => [0, `call ${i}`]),
  )
  assert.deepEqual((await pulling).messages.map(String), ['pulled'])
  assert.equal(runtime.connections, 1)
})

/** What is kept for one stream: its window on each session, and what the streams between buffer. */
const MOST_HELD = 8 * 1024 * 1024

test('stops reading from the runtime when the client does not read', async (t) => {
  const { runtime, path } = await startRelay(t)
  const total = 1024 * CHUNK.length
  let written = 0
  runtime.handle(LIST, ({ stream }) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    const fill = (): void => {
      if (written === total) return void stream.end()
      written += CHUNK.length
      stream.write(CHUNK, fill)
    }
    fill()
  })
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, path)
  const stream = client.open(LIST)
  stream.end()

  const held = await settled(client, () => written)
  let got = 0
  for await (const chunk of stream) got += chunk.length

  assert.ok(held > 0 && held < MOST_HELD, `${held} bytes were taken`)
  assert.equal(got, total)
})

test('stops reading from the client when the runtime does not read', async (t) => {
  const { runtime, path } = await startRelay(t)
  let call: RuntimeCall | undefined
  runtime.handle('/x.Y/Upload', (each) => {
    call = each
    each.stream.pause()
  })
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, path)
  const stream = client.open('/x.Y/Upload')
  const answer = answerOf(stream)
  const message = framed(Buffer.alloc(64 * CHUNK.length * 16, 1))
  let written = 0
  const fill = (): void => {
    if (written === message.length) return void stream.end()
    const chunk = message.subarray(written, written + CHUNK.length)
    written += chunk.length
    stream.write(chunk, fill)
  }
  fill()

  const held = await settled(client, () => written)
  call?.stream.resume()
  const received = await call?.request
  if (call !== undefined) respond(call.stream, [])

  assert.ok(held > 0 && held < MOST_HELD, `${held} bytes were taken`)
  assert.equal(received?.[0]?.length, message.length - 5)
  assert.equal((await answer).code, 0)
})

test('what waits for the runtime stays what its client has said, whatever others say meanwhile', async (t) => {
  // A message that is edited is put together first, and these come in many frames.
  const request = (): BodyEdit => bodyEdit((message) => message, pino({ level: 'silent' }))
  const rewrite = (rpc: string) => (rpc === STATUS ? undefined : { request: request() })
  const { runtime, path } = await startRelay(t, { rewrite })
  const calls: RuntimeCall[] = []
  runtime.handle(CREATE, (each) => {
    each.stream.pause()
    calls.push(each)
  })
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const messages = [1, 2, 3, 4].map((byte) => Buffer.alloc(SIXTEEN_MIB / 16, byte))
  const answers: Promise<unknown>[] = []
  const clients = messages.map((message) => {
    const client = openGrpcClient(t, path)
    const stream = client.open(CREATE)
    answers.push(answerOf(stream))
    stream.end(framed(message))
    return client
  })
  await until(() => calls.length === clients.length)
  for (const client of clients) await settled(client, () => 0)

  for (const { stream } of calls) stream.resume()
  const received = await Promise.all(calls.map(({ request }) => request))
  for (const { stream } of calls) respond(stream, [])
  await Promise.all(answers)

  const byByte = received.map(([message]) => message).sort((a, b) => (a?.[0] ?? 0) - (b?.[0] ?? 0))
  assert.equal(byByte.length, messages.length)
  for (const [i, message] of messages.entries()) assert.equal(byByte[i]?.equals(message), true)
})

/** Goes on making calls on the same connection until the measured number moves no more. */
async function settled(client: GrpcClient, measure: () => number): Promise<number> {
  let last = -1
  for (let quiet = 0; quiet < 100; quiet += 1) {
    assert.equal((await client.call(STATUS)).code, 0)
    if (measure() !== last) quiet = 0
    last = measure()
  }
  return last
}

test('calls that are reset in the breath in which they are made do not reach the runtime', async (t) => {
  const ended: number[] = []
  const { runtime, path } = await startRelay(t, { onCall: (_, code) => ended.push(code) })
  runtime.handle(LIST, ({ stream }) => respond(stream, []))
  const client = openRawHttp2Client(t, path)
  const ids = Array.from({ length: 200 }, (_, n) => 2 * n + 1)
  const madeAndReset = ids.map((id) =>
    Buffer.concat([
      frame(FRAME.headers, FRAME_FLAG.endHeaders, id, callBlock(STATUS)),
      frame(FRAME.reset, 0, id, number32(8)),
    ]),
  )

  client.send(OPENING, ...madeAndReset, call(401, LIST, Buffer.alloc(0)))
  await client.body(401)

  assert.deepEqual(
    runtime.calls.map((each) => each.path),
    [LIST],
  )
  assert.deepEqual(
    ended.filter((code) => code !== 0),
    ids.map(() => 1),
  )
})

test('a request that came whole goes out whole: its end in the frame of its message', async (t) => {
  const runtimeSocket = `${temporaryFolder(t)}/raw.sock`
  const runtime = createServer((socket) => socket.write(SETTINGS)).listen(runtimeSocket)
  await once(runtime, 'listening')
  const { path } = await startRelay(t, { runtimeSocket })
  const connected = once(runtime, 'connection')
  const client = openRawHttp2Client(t, path)
  client.send(OPENING, call(1, STATUS, framed(Buffer.from('first'))))
  const [connection] = (await connected) as [Socket]
  t.after(() => {
    connection.destroy()
    runtime.close()
  })
  const heard = bodyFrames(connection)
  await heard.next()

  client.send(call(3, STATUS, framed(Buffer.from('second'))))
  const { value: body } = await heard.next()

  assert.deepEqual(
    body?.map(({ flags, payloadBytes }) => [flags, payloadBytes]),
    [[FRAME_FLAG.endStream, framed(Buffer.from('second')).length]],
  )
})

/** What a runtime hears: the DATA frames of each request, as it ends. */
async function* bodyFrames(connection: Socket): AsyncGenerator<readonly FrameHeader[], void> {
  let bytes = Buffer.alloc(0)
  let offset = PREFACE.length
  let body: FrameHeader[] = []
  for await (const chunk of connection) {
    bytes = Buffer.concat([bytes, chunk])
    for (;;) {
      const header = readFrameHeader(bytes, offset)
      if (header === undefined) break
      offset += FRAME_HEADER_BYTES + header.payloadBytes
      if (header.type !== FRAME_TYPE.data) continue
      body.push(header)
      if ((header.flags & FRAME_FLAG.endStream) === 0) continue
      yield body
      body = []
    }
  }
}
