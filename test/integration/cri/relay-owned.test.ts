import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { deflateSync, gzipSync } from 'node:zlib'
import { status } from '@grpc/grpc-js'
import type { Caller, OwnedMethod } from '../../../src/cri/owned-call.ts'
import { FRAME_FLAG, FRAME_TYPE, frame } from '../../../src/http2/frames.ts'
import { respond } from '../../support/fake-runtime.ts'
import { answerOf, type GrpcAnswer, openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { call, OPENING } from '../../support/hostile-frames.ts'
import { indexed, literal, plain } from '../../support/hpack-fields.ts'
import { openRawHttp2Client } from '../../support/raw-http2-client.ts'
import { startRelay } from '../../support/relay.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const RST_STREAM = 3
const STATUS = '/runtime.v1.ImageService/ImageStatus'
const MIB = 1024 * 1024

async function startOwned(t: TestContext, answer: OwnedMethod['answer'], limitMs?: number) {
  const method = { answer, ...(limitMs !== undefined && { limitMs }) }
  const { path, runtime, relay } = await startRelay(t, { owned: new Map([[PULL, method]]) })
  return { client: openGrpcClient(t, path), path, runtime, relay }
}

const echo = async (request: Buffer): Promise<Buffer> => Buffer.from(`ours: ${request}`)

/** A method that answers nothing, and its first caller. */
function unanswered() {
  let begin: (caller: Caller) => void = () => {}
  const begun = new Promise<Caller>((resolve) => {
    begin = resolve
  })
  const answer = (_: Buffer, caller: Caller): Promise<Buffer> => {
    begin(caller)
    return new Promise((_resolve, reject) => {
      caller.signal.addEventListener('abort', () => reject(caller.signal.reason))
    })
  }
  return { answer, begun }
}

function aborted({ signal }: Caller): Promise<unknown> {
  return new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve())
  })
}

test('answers owned paths in this process and all others at the runtime', async (t) => {
  const { client, runtime } = await startOwned(t, echo)
  runtime.handle(STATUS, ({ stream }) => respond(stream, [Buffer.from('theirs')]))

  const answers = await Promise.all([client.call(PULL, [Buffer.from('x')]), client.call(STATUS)])

  assert.deepEqual(
    answers.map(({ messages }) => String(messages[0])),
    ['ours: x', 'theirs'],
  )
  assert.deepEqual(
    answers.map(({ code }) => code),
    [0, 0],
  )
  assert.equal(answers[0].headers['content-type'], 'application/grpc')
  assert.deepEqual(
    runtime.calls.map((each) => each.path),
    [STATUS],
  )
})

test('refuses what is no gRPC on an owned path, whether its client stays to hear it or not', async (t) => {
  const { client, path } = await startOwned(t, () => assert.fail('nothing was to be answered'))
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

test('carries metadata, errors with details, and 4 MiB to and 16 MiB from the method', async (t) => {
  const seen: unknown[] = []
  const { client } = await startOwned(t, async (request, { metadata }) => {
    seen.push(...metadata)
    if (request.length > 0) return Buffer.alloc(16 * MIB, request[0])
    const trailers = ['grpc-status-details-bin', 'CAU=', 'x-why', 'because']
    const details = 'down\n✓ 100%'
    throw Object.assign(new Error(), { code: status.NOT_FOUND, details, metadata: trailers })
  })
  const fields = { 'x-one': 'a, b', 'k-bin': ['AP8=', 'AQ=='], 'accept-encoding': 'gzip' }

  const answer = await client.call(PULL, [Buffer.alloc(4 * MIB, 7)], fields)
  const failure = await client.call(PULL, [Buffer.alloc(0)])

  assert.deepEqual(seen.slice(0, 6), ['x-one', 'a, b', 'k-bin', 'AP8=', 'k-bin', 'AQ=='])
  assert.equal(answer.code, 0)
  assert.ok(answer.messages[0]?.equals(Buffer.alloc(16 * MIB, 7)))
  assert.deepEqual([failure.code, failure.message], [5, 'down\n✓ 100%'])
  assert.equal(failure.trailersOnly, true)
  assert.equal(failure.trailers['grpc-status-details-bin'], 'CAU=')
  assert.equal(failure.trailers['x-why'], 'because')
})

test('the text and the trailers of an error are cut at a bound', async (t) => {
  const { client } = await startOwned(t, async () => {
    const long = Array.from({ length: 100 }, (_, n) => [`x-long-${n}`, 'v'.repeat(1_000)])
    const trailers = ['x-first', 'short', ...long.flat()]
    const details = `down: ${'x'.repeat(MIB)}`
    throw Object.assign(new Error(), { code: status.NOT_FOUND, details, metadata: trailers })
  })

  const failure = await client.call(PULL, [Buffer.alloc(0)])

  assert.equal(failure.code, 5)
  assert.match(failure.message, /^down: x+…$/)
  assert.equal(failure.trailers['x-first'], 'short')
  assert.ok(failure.rawHeaders.join('').length < 64 * 1024)
})

test('passes on binary metadata as it came, with however many values', async (t) => {
  const seen: string[] = []
  const { client } = await startOwned(t, (request, { metadata }) => {
    seen.push(...metadata)
    return echo(request)
  })
  const values = ','.repeat(50_000)

  const { code } = await client.call(PULL, [Buffer.from('x')], { 'b-bin': values, 'x-one': 'a' })

  assert.equal(code, 0)
  assert.deepEqual(seen, ['b-bin', values, 'x-one', 'a'])
})

for (const [what, body, code, message] of [
  ['no message', Buffer.alloc(0), 12, 'Received no request message'],
  [
    'a message that is cut short',
    framed(Buffer.from('ab')).subarray(0, 6),
    12,
    'Received no request message',
  ],
  [
    'two messages',
    framed(Buffer.from('a'), Buffer.from('b')),
    12,
    'Received a second request message',
  ],
  [
    'a message that is too long',
    Buffer.from([0, 0, 64, 0, 1]),
    8,
    'Received message larger than max (4194305 vs 4194304)',
  ],
] as const) {
  test(`refuses ${what} on an owned path`, async (t) => {
    const { client } = await startOwned(t, () => assert.fail('nothing was to be answered'))
    const stream = client.open(PULL)
    stream.end(body)

    const answer = await answerOf(stream)

    assert.deepEqual([answer.code, answer.message], [code, message])
  })
}

function compressed(
  client: ReturnType<typeof openGrpcClient>,
  encoding: string,
  body: Buffer,
): Promise<GrpcAnswer> {
  const message = framed(body)
  message.writeUInt8(1, 0)
  const stream = client.open(PULL, { 'grpc-encoding': encoding })
  stream.end(message)
  return answerOf(stream)
}

test('takes messages that are compressed, up to the same length, and refuses what it cannot read', async (t) => {
  const { client } = await startOwned(t, echo)
  const bomb = Buffer.alloc(4 * MIB + 1)

  const answers = [
    await compressed(client, 'gzip', gzipSync('nginx')),
    await compressed(client, 'deflate', deflateSync('nginx')),
    await compressed(client, 'snappy', Buffer.from('nginx')),
    await compressed(client, 'gzip', Buffer.from('nginx')),
    await compressed(client, 'gzip', gzipSync(bomb)),
  ]

  assert.deepEqual(
    answers.map(({ code, message, messages }) => [code, String(messages[0] ?? message)]),
    [
      [0, 'ours: nginx'],
      [0, 'ours: nginx'],
      [12, 'Received message compressed with unsupported encoding "snappy"'],
      [13, 'Failed to decompress message'],
      [8, 'Received message that decompresses to a size larger than 4194304'],
    ],
  )
  assert.equal(answers[0]?.headers['grpc-accept-encoding'], 'identity,deflate,gzip')
})

test('what messages decompress to is held for their client, and no more than may be', async (t) => {
  const callers: Caller[] = []
  const refused: string[] = []
  let onAll = (): void => {}
  const seen = (): void => {
    if (callers.length + refused.length === 16) onAll()
  }
  const { client } = await startOwned(t, (request, caller) => {
    if (request.length === 1) return echo(request)
    callers.push(caller)
    seen()
    return new Promise(() => {})
  })
  const body = framed(gzipSync(Buffer.alloc(4 * MIB)))
  body.writeUInt8(1, 0)
  const streams = Array.from({ length: 16 }, () => client.open(PULL, { 'grpc-encoding': 'gzip' }))
  const all = new Promise<void>((resolve) => {
    onAll = resolve
  })
  for (const stream of streams) {
    void answerOf(stream).then(({ code, message }) => {
      refused.push(`${code} ${message}`)
      seen()
    })
    stream.end(body)
  }

  await all
  const told = new Set(refused)
  for (const stream of streams) stream.close(8)
  await Promise.all(callers.map(aborted))
  const after = await compressed(client, 'gzip', gzipSync('x'))

  assert.equal(callers.length, 6)
  assert.deepEqual([...told], ['8 too much is queued for this client of image-resolver'])
  assert.equal(String(after.messages[0]), 'ours: x')
})

test('a message that comes byte by byte, on many streams at once, is put together', async (t) => {
  const { path } = await startOwned(t, echo)
  const raw = openRawHttp2Client(t, path)
  const whole = [1, 3, 5].map((id) => call(id, PULL, framed(Buffer.from(`image ${id}`))))

  raw.send(OPENING)
  for (const bytes of whole) {
    const headersEnd = 9 + bytes.readUIntBE(0, 3)
    const body = bytes.subarray(headersEnd + 9)
    const id = bytes.readUInt32BE(5)
    raw.send(bytes.subarray(0, headersEnd))
    for (const byte of body) raw.send(frame(FRAME_TYPE.data, 0, id, Buffer.of(byte)))
    raw.send(frame(FRAME_TYPE.data, FRAME_FLAG.endStream, id, Buffer.alloc(0)))
  }

  for (const id of [1, 3, 5]) {
    assert.equal(String((await raw.body(id)).subarray(5)), `ours: image ${id}`)
  }
})

test('tells the method of a deadline and of a cancellation', async (t) => {
  const { answer, begun } = unanswered()
  const { client } = await startOwned(t, answer)
  const stream = client.open(PULL, { 'grpc-timeout': '60S' })
  stream.end(Buffer.alloc(5))
  const caller = await begun

  stream.close(8)
  await aborted(caller)

  const leftMs = Number(caller.deadline) - Date.now()
  assert.ok(leftMs > 0 && leftMs <= 60_000, `${leftMs} ms left`)
})

test('a call that is cancelled in the same breath reaches no method', async (t) => {
  const requests: string[] = []
  const { path } = await startOwned(t, (request) => {
    requests.push(String(request))
    return echo(request)
  })
  const raw = openRawHttp2Client(t, path)
  const leave = frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8]))

  raw.send(Buffer.concat([OPENING, call(1, PULL, framed(Buffer.from('left'))), leave]))
  raw.send(call(3, PULL, framed(Buffer.from('stays'))))
  await raw.body(3)

  assert.deepEqual(requests, ['stays'])
})

for (const [timeout, code, message] of [
  ['1m', 4, 'Deadline exceeded'],
  ['100n', 4, 'Deadline exceeded'],
  ['soon', 13, 'Invalid grpc-timeout value "soon"'],
  ['123456789S', 13, 'Invalid grpc-timeout value "123456789S"'],
] as const) {
  test(`a call with the timeout ${timeout} ends by itself`, async (t) => {
    const { answer } = unanswered()
    const { client } = await startOwned(t, answer)

    const ended = await client.call(PULL, [Buffer.alloc(0)], { 'grpc-timeout': timeout })

    assert.deepEqual([ended.code, ended.message], [code, message])
  })
}

test('a deadline beyond what a timer takes does not end the call', async (t) => {
  const { client } = await startOwned(t, echo)

  const answer = await client.call(PULL, [Buffer.from('x')], { 'grpc-timeout': '99999999H' })

  assert.equal(answer.code, 0)
})

test('a method that is cut off answers UNAVAILABLE, and is told', async (t) => {
  const { answer, begun } = unanswered()
  const { client, relay } = await startOwned(t, answer)
  const ended = client.call(PULL, [Buffer.alloc(0)])
  const caller = await begun

  await relay.drain({ graceMs: 0 })
  await aborted(caller)

  assert.deepEqual(
    [(await ended).code, (await ended).message],
    [14, 'image-resolver is shutting down'],
  )
})

test('serves owned paths while the runtime is away', async (t) => {
  const { client, runtime } = await startOwned(t, echo)
  await runtime.stop()

  const [ours, theirs] = await Promise.all([
    client.call(PULL, [Buffer.alloc(0)]),
    client.call(STATUS),
  ])

  assert.equal(String(ours?.messages[0]), 'ours: ')
  assert.equal(theirs?.code, 14)
})
