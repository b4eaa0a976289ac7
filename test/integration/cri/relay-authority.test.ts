import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { FRAME_FLAG, FRAME_TYPE, frame, PREFACE } from '../../../src/http2/frames.ts'
import { type FakeRuntime, respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import {
  huffman,
  indexed,
  literal,
  plain,
  SOCKET_PATH,
  SOCKET_PATH_HUFFMAN,
} from '../../support/hpack-fields.ts'
import {
  openRawHttp2Client,
  type RawHttp2Client,
  SETTINGS,
  SETTINGS_ACK,
} from '../../support/raw-http2-client.ts'
import { startRelay } from '../../support/relay.ts'

const { endHeaders, endStream, padded, priority } = FRAME_FLAG
const METHOD = '/runtime.v1.RuntimeService/Version'
const POST_HTTP = Buffer.concat([indexed(3), indexed(6)])
const PATH = literal('without', 4, plain(METHOD))
const TYPE = literal('without', 31, plain('application/grpc'))
const BAD_AUTHORITY = literal('incremental', 1, huffman(SOCKET_PATH_HUFFMAN))
const GOOD_AUTHORITY = literal('incremental', 1, plain('localhost'))
const PING = frame(FRAME_TYPE.ping, 0, 0, Buffer.from('are you?'))

interface RawSetup {
  readonly runtime: FakeRuntime
  readonly client: RawHttp2Client
}

async function setUp(t: TestContext): Promise<RawSetup> {
  const { runtime, path } = await startRelay(t)
  runtime.handle(METHOD, async ({ stream, request }) => respond(stream, await request))
  return { runtime, client: openRawHttp2Client(t, path) }
}

/** A call in which the header block is one frame; pseudo-headers must come first. */
function callWith(streamId: number, ...fields: readonly Buffer[]): Buffer {
  const block = Buffer.concat([POST_HTTP, ...fields, TYPE])
  return Buffer.concat([frame(FRAME_TYPE.headers, endHeaders, streamId, block), message(streamId)])
}

function call(streamId: number, ...fields: readonly Buffer[]): Buffer {
  return callWith(streamId, PATH, ...fields)
}

function message(streamId: number): Buffer {
  return frame(FRAME_TYPE.data, endStream, streamId, framed(Buffer.from(`call ${streamId}`)))
}

/** Waits for the echo of a call. */
async function assertEchoed(client: RawHttp2Client, streamId: number): Promise<void> {
  assert.deepEqual(await client.body(streamId), framed(Buffer.from(`call ${streamId}`)))
}

/** As grpc-go does: not a call before the server's SETTINGS are there and acknowledged. */
async function greetAsGrpcGo(client: RawHttp2Client): Promise<void> {
  client.send(PREFACE, SETTINGS)
  await client.frame(({ type, flags }) => type === FRAME_TYPE.settings && flags === 0)
  client.send(SETTINGS_ACK)
}

test('serves a client that waits for SETTINGS and sends a path, over many header blocks', async (t) => {
  const { runtime, client } = await setUp(t)
  await greetAsGrpcGo(client)
  const path = literal('incremental', 4, plain(METHOD))
  const after = literal('incremental', plain('x-after'), plain('new'))

  client.send(callWith(1, path, BAD_AUTHORITY, after))
  await assertEchoed(client, 1)
  client.send(callWith(3, indexed(64), indexed(63), indexed(62)))
  await assertEchoed(client, 3)
  client.send(callWith(5, indexed(64), literal('without', 1, plain(SOCKET_PATH)), indexed(62)))
  await assertEchoed(client, 5)
  client.send(callWith(7, indexed(64), BAD_AUTHORITY, indexed(63)))
  client.send(callWith(9, indexed(65), indexed(62), indexed(63)))
  await Promise.all([assertEchoed(client, 7), assertEchoed(client, 9)])

  assert.equal(runtime.calls.length, 5)
  for (const { headers } of runtime.calls) {
    assert.equal(headers[':authority'], 'localhost')
    assert.equal(headers['x-after'], 'new')
  }
})

test('keeps both tables in step when entries fall out of them', async (t) => {
  const { runtime, client } = await setUp(t)
  await greetAsGrpcGo(client)
  // 4096 bytes: the authority (32 + 10 + 15) and these (32 + 3 + 2000, 32 + 3 + 1969) fill the table.
  const one = literal('incremental', plain('x-1'), plain('1'.repeat(2000)))
  const two = literal('incremental', plain('x-2'), plain('2'.repeat(1969)))
  const three = literal('incremental', plain('x-3'), plain('3'))

  client.send(callWith(1, PATH, BAD_AUTHORITY, one, two))
  await assertEchoed(client, 1)
  client.send(callWith(3, PATH, indexed(64), indexed(63), indexed(62)))
  await assertEchoed(client, 3)
  client.send(callWith(5, PATH, BAD_AUTHORITY, three, indexed(62), indexed(64)))
  await assertEchoed(client, 5)

  const last = runtime.calls[2]?.headers
  assert.equal(runtime.calls[1]?.headers['x-1'], '1'.repeat(2000))
  assert.equal(last?.['x-3'], '3, 3')
  assert.equal(last?.[':authority'], 'localhost')
  assert.equal(last?.['x-2'], '2'.repeat(1969))
})

test('serves blocks in CONTINUATION frames that cut the authority, padded and with priority', async (t) => {
  const { runtime, client } = await setUp(t)
  await greetAsGrpcGo(client)
  const block = Buffer.concat([POST_HTTP, BAD_AUTHORITY, PATH, TYPE])
  const head = Buffer.concat([Buffer.of(5), Buffer.from([0, 0, 0, 0, 7]), block.subarray(0, 6)])

  for (const streamId of [1, 3]) {
    client.send(
      frame(
        FRAME_TYPE.headers,
        padded | priority,
        streamId,
        Buffer.concat([head, Buffer.alloc(5)]),
      ),
      frame(FRAME_TYPE.continuation, 0, streamId, block.subarray(6, 10)),
      frame(FRAME_TYPE.continuation, endHeaders, streamId, block.subarray(10)),
      message(streamId),
    )
    await assertEchoed(client, streamId)
  }

  assert.equal(runtime.calls[1]?.headers[':path'], METHOD)
  assert.equal(runtime.calls[1]?.headers[':authority'], 'localhost')
})

test('serves a client that sends its bytes one by one', async (t) => {
  const { runtime, client } = await setUp(t)
  client.socket.setNoDelay()
  const bytes = Buffer.concat([PREFACE, SETTINGS, call(1, BAD_AUTHORITY), call(3, indexed(62))])

  for (const byte of bytes) {
    client.send(Buffer.of(byte))
    await new Promise(setImmediate)
  }
  client.send(SETTINGS_ACK)
  await Promise.all([assertEchoed(client, 1), assertEchoed(client, 3)])

  assert.equal(runtime.calls.length, 2)
})

for (const [what, authority] of [
  ['a path', BAD_AUTHORITY],
  ['a host', GOOD_AUTHORITY],
] as const) {
  test(`serves a client that waits for nothing and names ${what}`, async (t) => {
    const { client } = await setUp(t)

    client.send(PREFACE, SETTINGS, call(1, authority), call(3, indexed(62)))

    await Promise.all([assertEchoed(client, 1), assertEchoed(client, 3)])
    client.send(SETTINGS_ACK, call(5, indexed(62)))
    await assertEchoed(client, 5)
  })

  test(`serves a client that waits for SETTINGS and names ${what}`, async (t) => {
    const { client } = await setUp(t)
    await greetAsGrpcGo(client)

    client.send(call(1, authority))
    await assertEchoed(client, 1)
    client.send(SETTINGS_ACK, call(3, indexed(62)))

    await assertEchoed(client, 3)
  })

  test(`serves a client that acknowledges after its first call and names ${what}`, async (t) => {
    const { client } = await setUp(t)
    client.send(PREFACE, SETTINGS)
    await client.frame(({ type, flags }) => type === FRAME_TYPE.settings && flags === 0)

    client.send(call(1, authority), call(3, indexed(62)), SETTINGS_ACK)
    await Promise.all([assertEchoed(client, 1), assertEchoed(client, 3)])
    client.send(SETTINGS_ACK, call(5, indexed(62)))

    await assertEchoed(client, 5)
  })

  test(`answers a PING that comes before the first call of a client that names ${what}`, async (t) => {
    const { client } = await setUp(t)
    await greetAsGrpcGo(client)

    client.send(PING)
    const pong = await client.frame(({ type }) => type === FRAME_TYPE.ping)
    client.send(SETTINGS_ACK, call(1, authority))

    assert.equal(pong.flags, FRAME_FLAG.ack)
    assert.equal(String(pong.payload), 'are you?')
    await assertEchoed(client, 1)
  })
}

test('carries a name twice that Node would only send once', async (t) => {
  const { runtime, client } = await setUp(t)
  const fields = ['a', 'b'].map((value) => literal('without', plain('authorization'), plain(value)))

  client.send(PREFACE, SETTINGS, call(1, GOOD_AUTHORITY, ...fields))
  await assertEchoed(client, 1)

  const raw = runtime.calls[0]?.rawHeaders ?? []
  const values = raw.filter((_, index) => raw[index - 1] === 'authorization')
  assert.deepEqual(values, ['a', 'b'])
})

test('answers a malformed block with COMPRESSION_ERROR', async (t) => {
  const { client } = await setUp(t)
  const block = Buffer.concat([BAD_AUTHORITY, Buffer.from([0x44, 0x7f])])

  client.send(PREFACE, SETTINGS, frame(FRAME_TYPE.headers, endHeaders, 1, block))
  const goaway = await client.frame(({ type }) => type === 7)

  assert.equal(goaway.payload.readUInt32BE(4), 9)
})

test('serves a client of node:http2 whose authority is a path', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(METHOD, async ({ stream, request }) => respond(stream, await request))
  const client = openGrpcClient(t, path)
  const big = Buffer.alloc(1024 * 1024, 0x2f)

  for (const metadata of [{}, { 'x-long': 'v'.repeat(40_000) }, { 'x-other': '/' }]) {
    const answer = await client.call(METHOD, [big], { ':authority': path, ...metadata })
    assert.equal(answer.code, 0)
    assert.deepEqual(answer.messages[0]?.equals(big), true)
  }

  const authorities = runtime.calls.map((each) => each.headers[':authority'])
  assert.deepEqual(authorities, ['localhost', 'localhost', 'localhost'])
})

test('shows what happens without the relay: Node’s engine refuses such a client', async (t) => {
  const { runtime } = await startRelay(t)
  runtime.handle(METHOD, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, runtime.path)

  const answer = await client.call(METHOD, [], { ':authority': SOCKET_PATH })

  assert.equal(answer.code, undefined)
  assert.equal(answer.resetCode, 1)
})

test('does not mind a client that leaves in the middle of its first words', async (t) => {
  const { path } = await startRelay(t)
  const socket = connect(path)
  socket.write(PREFACE.subarray(0, 10))
  socket.end()
  await once(socket.resume(), 'close')
  const client = openGrpcClient(t, path)

  const answer = await client.call('/x.Y/Nope')

  assert.equal(answer.code, 12)
})
