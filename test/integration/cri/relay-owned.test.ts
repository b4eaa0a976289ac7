import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metadata, Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import { connectInProcess } from '../../../src/cri/in-process.ts'
import { FRAME_FLAG, FRAME_TYPE, frame } from '../../../src/http2/frames.ts'
import { respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { OPENING } from '../../support/hostile-frames.ts'
import { indexed, literal, plain } from '../../support/hpack-fields.ts'
import { openRawHttp2Client } from '../../support/raw-http2-client.ts'
import { startRelay } from '../../support/relay.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const RST_STREAM = 3
const STATUS = '/runtime.v1.ImageService/ImageStatus'

type Call = ServerUnaryCall<Buffer, Buffer>

function serverWith(handler: (call: Call, done: sendUnaryData<Buffer>) => void): Server {
  const server = new Server({ 'grpc.max_receive_message_length': -1 })
  const asIs = (bytes: Buffer): Buffer => bytes
  server.addService(
    {
      pullImage: {
        path: PULL,
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    { pullImage: handler },
  )
  return server
}

test('answers owned paths in this process and all others at the runtime', async (t) => {
  const server = serverWith((call, done) => done(null, Buffer.from(`ours: ${call.request}`)))
  t.after(() => server.forceShutdown())
  const { runtime, path } = await startRelay(t, {
    owned: new Set([PULL]),
    ownedConnect: connectInProcess(server),
  })
  runtime.handle(STATUS, ({ stream }) => respond(stream, [Buffer.from('theirs')]))
  const client = openGrpcClient(t, path)

  const answers = await Promise.all([client.call(PULL, [Buffer.from('x')]), client.call(STATUS)])

  assert.deepEqual(
    answers.map(({ messages }) => String(messages[0])),
    ['ours: x', 'theirs'],
  )
  assert.deepEqual(
    answers.map(({ code }) => code),
    [0, 0],
  )
  assert.deepEqual(
    runtime.calls.map((each) => each.path),
    [STATUS],
  )
})

test('refuses what is no gRPC on an owned path, whether its client stays to hear it or not', async (t) => {
  const server = serverWith(() => assert.fail('nothing was to be answered'))
  t.after(() => server.forceShutdown())
  const { path } = await startRelay(t, {
    owned: new Set([PULL]),
    ownedConnect: connectInProcess(server),
  })
  const client = openGrpcClient(t, path)
  const raw = openRawHttp2Client(t, path)
  const named = [literal('without', 4, plain(PULL)), literal('without', 1, plain('localhost'))]
  const block = Buffer.concat([indexed(3), indexed(6), ...named])
  const leave = frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8]))

  raw.send(OPENING, frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 1, block), leave)
  raw.send(frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 3, block))
  await raw.frame(({ type, streamId }) => type === FRAME_TYPE.headers && streamId === 3)
  const answer = await client.call(PULL, [], { 'content-type': 'application/json' })

  assert.equal(answer.headers[':status'], 415)
  assert.deepEqual([answer.code, answer.message], [3, 'invalid gRPC request content-type'])
})

test('carries metadata, errors with details, and 16 MiB to and from the server inside', async (t) => {
  const seen: unknown[] = []
  const server = serverWith((call, done) => {
    seen.push(...call.metadata.get('x-one'), ...call.metadata.get('k-bin'))
    const trailers = new Metadata()
    trailers.set('grpc-status-details-bin', Buffer.from([8, 5]))
    const details = `${call.request.length} bytes`
    done({ code: status.NOT_FOUND, details, metadata: trailers })
  })
  t.after(() => server.forceShutdown())
  const { path } = await startRelay(t, {
    owned: new Set([PULL]),
    ownedConnect: connectInProcess(server),
  })
  const message = Buffer.alloc(16 * 1024 * 1024, 1)

  const answer = await openGrpcClient(t, path).call(PULL, [message], {
    'x-one': 'a, b',
    'k-bin': ['AP8=', 'AQ=='],
  })

  assert.deepEqual(seen, ['a, b', Buffer.from([0, 255]), Buffer.from([1])])
  assert.equal(answer.code, 5)
  assert.equal(answer.message, '16777216 bytes')
  assert.equal(answer.trailers['grpc-status-details-bin'], 'CAU=')
})

test('tells the server inside of a deadline and of a cancellation', async (t) => {
  let cancelled: () => void = () => {}
  const seen = new Promise<void>((resolve) => {
    cancelled = resolve
  })
  let begun: (call: Call) => void = () => {}
  const started = new Promise<Call>((resolve) => {
    begun = resolve
  })
  const server = serverWith((call) => {
    call.on('cancelled', cancelled)
    begun(call)
  })
  t.after(() => server.forceShutdown())
  const { path } = await startRelay(t, {
    owned: new Set([PULL]),
    ownedConnect: connectInProcess(server),
  })
  const stream = openGrpcClient(t, path).open(PULL, { 'grpc-timeout': '60S' })
  stream.end(Buffer.alloc(5))
  const call = await started

  stream.close(8)
  await seen

  const leftMs = Number(call.getDeadline()) - Date.now()
  assert.ok(leftMs > 0 && leftMs <= 60_000, `${leftMs} ms left`)
})

test('serves owned paths while the runtime is away', async (t) => {
  const server = serverWith((_call, done) => done(null, Buffer.from('ours')))
  t.after(() => server.forceShutdown())
  const { runtime, path } = await startRelay(t, {
    owned: new Set([PULL]),
    ownedConnect: connectInProcess(server),
  })
  await runtime.stop()
  const client = openGrpcClient(t, path)

  const [ours, theirs] = await Promise.all([
    client.call(PULL, [Buffer.alloc(0)]),
    client.call(STATUS),
  ])

  assert.equal(String(ours?.messages[0]), 'ours')
  assert.equal(theirs?.code, 14)
})
