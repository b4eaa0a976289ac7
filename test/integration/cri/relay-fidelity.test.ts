import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { respond } from '../../support/fake-runtime.ts'
import { answerOf, openGrpcClient } from '../../support/grpc-client.ts'
import { framed, unframed } from '../../support/grpc-frames.ts'
import { startRelay } from '../../support/relay.ts'

const STATUS = '/runtime.v1.ImageService/ImageStatus'
const LIST = '/runtime.v1.ImageService/ListImages'
/** Field 20 and field 99 of a message of today's CRI, a binary value that is not UTF-8, and rubbish. */
const UNKNOWN_FIELDS = Buffer.from('0a04deadbeefa2010361ff629a0603c3280009ff', 'hex')

/** The values of one name in a raw header list, in order. */
function valuesOf(raw: readonly string[] | undefined, name: string): string[] {
  return (raw ?? []).filter((_, i, all) => i % 2 === 1 && all[i - 1] === name)
}

test('carries unknown protobuf fields, and any bytes, both ways', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(STATUS, async ({ stream, request }) => respond(stream, await request))
  const client = openGrpcClient(t, path)

  const answer = await client.call(STATUS, [UNKNOWN_FIELDS])

  assert.deepEqual(answer.messages, [UNKNOWN_FIELDS])
  assert.deepEqual(await runtime.calls[0]?.request, [UNKNOWN_FIELDS])
  assert.equal(answer.code, 0)
})

for (const [kind, sent, got] of [
  ['unary', ['a'], ['A']],
  ['server-streaming', ['a'], ['A', '', 'B']],
  ['client-streaming', ['a', '', 'b'], ['A']],
] as const) {
  test(`relays a ${kind} method that nobody has heard of`, async (t) => {
    const { runtime, path } = await startRelay(t)
    const method = '/runtime.v9.FutureService/Foresee'
    runtime.handle(method, async ({ stream, request }) => {
      await request
      respond(stream, got.map(Buffer.from))
    })
    const client = openGrpcClient(t, path)

    const answer = await client.call(method, sent.map(Buffer.from))

    assert.deepEqual(answer.messages.map(String), got)
    assert.deepEqual((await runtime.calls[0]?.request)?.map(String), sent)
    assert.equal(answer.code, 0)
  })
}

test('an answer of one message comes with its status, and of a larger one the beginning at once', async (t) => {
  const { runtime, path } = await startRelay(t)
  const bodies = [Buffer.from('small'), Buffer.alloc(20_000, 'large')]
  for (const [index, method] of [STATUS, LIST].entries()) {
    runtime.handle(method, async ({ stream }) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.write(framed(bodies[index] ?? Buffer.alloc(0)))
      // The end is sent when a later call has been answered.
      runtime.handle(`/x.Y/End${index}`, (later) => {
        respond(later.stream, [])
        stream.end()
      })
    })
  }
  const client = openGrpcClient(t, path)
  const came: string[] = []
  const [small, large] = [STATUS, LIST].map((method) => {
    const stream = client.open(method)
    stream.on('response', () => came.push(method)).end(framed(Buffer.alloc(0)))
    return { stream, answer: answerOf(stream) }
  })

  await once(large?.stream as NonNullable<typeof large>['stream'], 'response')
  assert.deepEqual(came, [LIST])
  for (const index of [0, 1]) await client.call(`/x.Y/End${index}`)
  const answers = await Promise.all([small?.answer, large?.answer])

  assert.deepEqual(
    answers.map((answer) => answer?.messages),
    bodies.map((body) => [body]),
  )
})

test('relays a conversation, message by message, while both sides are open', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle('/x.Y/Talk', ({ stream }) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', said: 'bye' }))
    stream.on('data', (chunk: Buffer) => stream.write(chunk))
    stream.on('end', () => stream.end())
  })
  const client = openGrpcClient(t, path)
  const stream = client.open('/x.Y/Talk')
  const answer = answerOf(stream)
  const heard: string[] = []
  stream.on('data', (chunk: Buffer) => {
    heard.push(...unframed(chunk).map(String))
    if (heard.length < 5) stream.write(framed(Buffer.from(`word ${heard.length}`)))
    else stream.end()
  })

  stream.write(framed(Buffer.from('word 0')))
  const { trailers, messages } = await answer

  assert.deepEqual(heard, ['word 0', 'word 1', 'word 2', 'word 3', 'word 4'])
  assert.equal(messages.length, 5)
  assert.equal(trailers['said'], 'bye')
})

test('says what the runtime says to a method that it does not have', async (t) => {
  const { path } = await startRelay(t)
  const client = openGrpcClient(t, path)

  const answer = await client.call('/runtime.v1.ImageService/StreamImages', [Buffer.alloc(0)])

  assert.equal(answer.code, 12)
  assert.equal(answer.message, 'unknown method /runtime.v1.ImageService/StreamImages')
  assert.equal(answer.trailersOnly, true)
})

test('carries request metadata: order of repeated keys, commas, binary, times, agents', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, path)

  await client.call(STATUS, [], {
    'x-repeated': ['one, with comma', 'two', 'one'],
    'trace-bin': ['AP8B', 'AAAA,BBBB'],
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'grpc-timeout': '1999999u',
    'grpc-accept-encoding': 'identity,deflate,gzip',
    'user-agent': 'grpc-go/1.51.0',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
    'x-latin': 'caf\u00e9',
    ['__proto__']: 'x',
    10: 'ten',
  })

  const raw = runtime.calls[0]?.rawHeaders
  assert.deepEqual(valuesOf(raw, 'x-repeated'), ['one, with comma', 'two', 'one'])
  assert.deepEqual(valuesOf(raw, 'trace-bin'), ['AP8B', 'AAAA,BBBB'])
  assert.deepEqual(valuesOf(raw, 'grpc-timeout'), ['1999999u'])
  assert.deepEqual(valuesOf(raw, 'grpc-accept-encoding'), ['identity,deflate,gzip'])
  assert.deepEqual(valuesOf(raw, 'user-agent'), ['grpc-go/1.51.0'])
  assert.deepEqual(valuesOf(raw, 'content-type'), ['application/grpc+proto'])
  assert.deepEqual(valuesOf(raw, 'te'), ['trailers'])
  assert.deepEqual(valuesOf(raw, 'x-latin'), ['caf\u00e9'])
  assert.deepEqual(valuesOf(raw, '10'), ['ten'])
  assert.deepEqual(valuesOf(raw, '__proto__'), ['x'])
  assert.deepEqual(valuesOf(raw, 'traceparent').length, 1)
  assert.deepEqual(valuesOf(raw, ':authority'), ['localhost'])
})

test('adds nothing to the metadata of either side', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(STATUS, ({ stream }) => respond(stream, [], { headers: { 'x-initial': 'i' } }))
  const client = openGrpcClient(t, path)

  const answer = await client.call(STATUS, [])

  const sent = [':authority', ':method', ':path', ':scheme', 'content-type', 'te']
  assert.deepEqual(namesIn(runtime.calls[0]?.rawHeaders), sent)
  assert.deepEqual(namesIn(answer.rawHeaders), [':status', 'content-type', 'x-initial'])
  assert.deepEqual(namesIn(answer.rawTrailers), ['grpc-status'])
})

function namesIn(raw: readonly string[] | undefined): string[] {
  return (raw ?? []).filter((_, i) => i % 2 === 0).sort()
}

test('carries initial metadata, trailers and status details as they are', async (t) => {
  const { runtime, path } = await startRelay(t)
  const details = 'CAISBWhlbGxvGgMKAUE'
  runtime.handle(STATUS, ({ stream }) =>
    respond(stream, [Buffer.from('half')], {
      headers: { 'x-initial': ['a', 'b'], date: 'Thu, 01 Jan 1970 00:00:00 GMT' },
      trailers: {
        'grpc-status': '2',
        'grpc-message': 'RegistryUnavailable: pull of %E2%98%83 failed, 100%25',
        'grpc-status-details-bin': details,
        'x-trailer': ['1', '2, 3'],
      },
    }),
  )
  const client = openGrpcClient(t, path)

  const answer = await client.call(STATUS, [])

  assert.deepEqual(valuesOf(answer.rawHeaders, 'x-initial'), ['a', 'b'])
  assert.deepEqual(valuesOf(answer.rawHeaders, 'date'), ['Thu, 01 Jan 1970 00:00:00 GMT'])
  assert.deepEqual(answer.rawTrailers, [
    ...['grpc-status', '2'],
    ...['grpc-message', 'RegistryUnavailable: pull of %E2%98%83 failed, 100%25'],
    ...['grpc-status-details-bin', details],
    ...['x-trailer', '1', 'x-trailer', '2, 3'],
  ])
  assert.deepEqual(answer.messages.map(String), ['half'])
})

test('keeps an answer of headers only what it is, details and all', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(STATUS, ({ stream }) => {
    stream.respond(
      {
        ':status': 200,
        'grpc-status': '5',
        'grpc-message': 'gone',
        'grpc-status-details-bin': 'CAU',
      },
      { endStream: true },
    )
  })
  const client = openGrpcClient(t, path)

  const answer = await client.call(STATUS, [Buffer.from('x')])

  assert.equal(answer.trailersOnly, true)
  assert.equal(answer.code, 5)
  assert.deepEqual(valuesOf(answer.rawHeaders, 'grpc-status-details-bin'), ['CAU'])
})

test('carries a status of HTTP that is not 200', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(STATUS, ({ stream }) => {
    stream.respond({ ':status': 503, 'content-type': 'text/plain' })
    stream.end('busy')
  })
  const client = openGrpcClient(t, path)
  const stream = client.open(STATUS)
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.end()

  const status = await new Promise((resolve) => {
    stream.on('response', (headers) => stream.on('end', () => resolve(headers[':status'])))
  })

  assert.equal(status, 503)
  assert.equal(String(Buffer.concat(chunks)), 'busy')
})

test('answers early when the runtime does, though the client has more to say', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle('/x.Y/Upload', ({ stream }) => {
    stream.respond(
      { ':status': 200, 'grpc-status': '8', 'grpc-message': 'enough' },
      { endStream: true },
    )
    // In the same turn Node 22 would send the reset alone.
    setImmediate(() => stream.close(0))
  })
  const client = openGrpcClient(t, path)
  const stream = client.open('/x.Y/Upload')
  stream.write(framed(Buffer.from('the beginning')))

  const answer = await answerOf(stream)

  assert.equal(answer.code, 8)
  assert.equal(answer.resetCode, 0)
})

test('gives each client connections of its own behind, and takes them away with it', async (t) => {
  const { runtime, path } = await startRelay(t)
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const one = openGrpcClient(t, path)
  const other = openGrpcClient(t, path)
  await Promise.all([one.call(STATUS), one.call(STATUS), other.call(STATUS)])
  assert.equal(runtime.connections, 2)
  const [session] = runtime.sessions
  const gone = new Promise((resolve) => session?.once('close', resolve))

  await one.close()
  await gone

  assert.equal(runtime.sessions.size, 1)
  assert.equal((await other.call(STATUS)).code, 0)
  assert.equal(runtime.connections, 2)
})

for (const [what, method, status] of [
  ['the answer to HEAD', 'HEAD', '200'],
  ['an answer with status 304', 'GET', '304'],
] as const) {
  test(`${what} has a content-length and no body`, async (t) => {
    const { runtime, path } = await startRelay(t)
    const { session } = openGrpcClient(t, path)
    runtime.handle('/healthz', ({ stream }) => {
      const headers = { ':status': status, 'content-length': '5' }
      stream.respond(headers, { endStream: true })
    })

    const stream = session.request({ ':method': method, ':path': '/healthz' })
    const [headers] = await once(stream, 'response')

    assert.equal(String(headers[':status']), status)
    assert.equal(headers['content-length'], '5')
    assert.equal(headers['grpc-status'], undefined)
  })
}

test('tells how each call ended', async (t) => {
  const ended: [string, number][] = []
  const { runtime, path } = await startRelay(t, {
    onCall: (method, code) => {
      ended.push([method, code])
    },
  })
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const client = openGrpcClient(t, path)

  await client.call(STATUS)
  await client.call('/x.Y/Nope')

  assert.deepEqual(ended, [
    [STATUS, 0],
    ['/x.Y/Nope', 12],
  ])
})
