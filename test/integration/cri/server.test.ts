import assert from 'node:assert/strict'
import { constants } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { withAuth, withImage } from '../../../src/cri/image-messages.ts'
import { type CriServerOptions, openCriServer } from '../../../src/cri/server.ts'
import { readMessage, withString } from '../../../src/cri/wire.ts'
import { openRuntimeChannel } from '../../../src/runtime/channel.ts'
import { createCriClient } from '../../../src/runtime/cri-client.ts'
import { loadService } from '../../../src/runtime/protos.ts'
import type { Aliases, ImageNames } from '../../../src/runtime/types.ts'
import { Metrics } from '../../../src/telemetry/counters.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { type FakeRuntime, hanging, respond, startFakeRuntime } from '../../support/fake-runtime.ts'
import { type GrpcClient, openGrpcClient } from '../../support/grpc-client.ts'
import { startTracing } from '../../support/otlp-collector.ts'
import { candidate } from '../../support/resolver.ts'
import { temporaryFolder } from '../../support/stack.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const LIST = '/runtime.v1.ImageService/ListImages'
const REMOVE = '/runtime.v1.ImageService/RemoveImage'
const RESOLVE = '/imageresolver.v1.ImageResolver/ResolveImage'
const DETAILS = Buffer.from([8, 2, 18, 3, 98, 97, 100]).toString('base64')

const noNames: ImageNames = {
  available: async () => false,
  settle: () => undefined,
  withLease: () => assert.fail('no name was to be given'),
  name: () => assert.fail('no name was to be given'),
  whole: () => assert.fail('no image was to be looked for'),
}

interface Scene {
  readonly runtime: FakeRuntime
  readonly client: GrpcClient
  readonly metrics: Metrics
}

/** The whole server in front of a scripted runtime that lets no names be given: pulls pass through. */
async function openServer(
  t: TestContext,
  timeoutMs = 60_000,
  more: Partial<CriServerOptions> = {},
): Promise<Scene> {
  const folder = temporaryFolder(t)
  const runtime = await startFakeRuntime(t, `${folder}/runtime.sock`)
  runtime.handle('/runtime.v1.RuntimeService/Version', ({ stream }) =>
    respond(stream, [Buffer.alloc(0)]),
  )
  const metrics = new Metrics()
  const channel = openRuntimeChannel(runtime.path)
  t.after(() => channel.close())
  const server = await openCriServer({
    path: `${folder}/shim.sock`,
    runtimeSocket: runtime.path,
    resolver: {
      candidates: () => [candidate('hub:5000'), candidate('docker.io', { origin: true })],
      credentials: async () => undefined,
      resolve: () => assert.fail('nothing was to be resolved'),
    },
    answers: {
      answer: async () => {
        throw new Error('a secret of ours')
      },
    },
    runtime: createCriClient(channel),
    names: noNames,
    onResolveError: () => 'passthrough',
    timeoutMs,
    logger: silentLogger(),
    metrics,
    ...more,
  })
  t.after(() => server.close({ graceMs: 0 }))
  return { runtime, client: openGrpcClient(t, `${folder}/shim.sock`), metrics }
}

test('a pull that is passed on reaches the runtime byte for byte, metadata and all', async (t) => {
  const { runtime, client } = await openServer(t)
  const response = Buffer.from(
    withString(Buffer.from(withString(new Uint8Array(), 1, 'id')), 77, 'new'),
  )
  runtime.handle(PULL, async ({ stream, request }) => {
    await request
    respond(stream, [response], { trailers: { 'x-trailer': 'kept' } })
  })
  const request = Buffer.from(
    withString(withAuth(withImage(new Uint8Array(), 'nginx'), { username: 'pod' }), 99, 'unknown'),
  )

  const answer = await client.call(PULL, [request], {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'x-many': ['one', 'two'],
    'x-data-bin': Buffer.from([0, 255]).toString('base64'),
  })

  assert.equal(answer.code, 0)
  assert.deepEqual(answer.messages, [response])
  const [call] = runtime.calls.filter(({ path }) => path === PULL)
  assert.deepEqual(await call?.request, [request])
  assert.match(String(call?.headers['traceparent']), /^00-0af7651916cd43dd/)
  assert.equal(call?.headers['x-many'], 'one, two')
  assert.equal(call?.headers['x-data-bin'], Buffer.from([0, 255]).toString('base64'))
})

test('a pull that is traced is below its caller, and the runtime below the pull; what is relayed stays as it is', async (t) => {
  const { collector } = await startTracing(t)
  const { runtime, client } = await openServer(t)
  runtime.handle(PULL, ({ stream }) => respond(stream, [Buffer.alloc(0)]))
  runtime.handle(LIST, ({ stream }) => respond(stream, [Buffer.alloc(0)]))
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const tracestate = 'vendor=1'
  const request = Buffer.from(withImage(new Uint8Array(), 'nginx'))

  await client.call(PULL, [request], { traceparent, tracestate, 'x-other': 'kept' })
  await client.call(LIST, [Buffer.alloc(0)], { traceparent })

  const name = PULL.slice(1)
  const spans = await collector.find((all) =>
    all.some((each) => each.name === name) ? all : undefined,
  )
  const [call] = spans.filter((span) => span.name === name)
  const [pull] = spans.filter((span) => span.name === 'pull')
  assert.deepEqual([call?.kind, call?.traceId], [2, traceparent.slice(3, 35)])
  assert.deepEqual([call?.parentSpanId, pull?.parentSpanId], ['b7ad6b7169203331', call?.spanId])
  assert.deepEqual(call?.attributes, {
    'rpc.system.name': 'grpc',
    'rpc.method': 'runtime.v1.ImageService/PullImage',
    'image_resolver.reference': 'nginx',
    'rpc.response.status_code': 'OK',
  })
  const headers = (path: string) => runtime.calls.find((each) => each.path === path)?.headers
  assert.equal(headers(PULL)?.['traceparent'], `00-${pull?.traceId}-${pull?.spanId}-01`)
  assert.equal(headers(PULL)?.['tracestate'], tracestate)
  assert.equal(headers(PULL)?.['x-other'], 'kept')
  assert.equal(headers(LIST)?.['traceparent'], traceparent)
})

test('a pull that fails is a call that failed, by its gRPC code', async (t) => {
  const { collector } = await startTracing(t)
  const { runtime, client } = await openServer(t)
  runtime.handle(PULL, ({ stream }) =>
    respond(stream, [], { trailers: { 'grpc-status': '5', 'grpc-message': 'no such image' } }),
  )

  await client.call(PULL, [Buffer.from(withImage(new Uint8Array(), 'nginx'))])

  const spans = await collector.find((all) => (all.length >= 2 ? all : undefined))
  assert.deepEqual(
    spans.map(({ attributes, status }) => [attributes['error.type'], status.code, status.message]),
    [
      ['NOT_FOUND', 2, '5 NOT_FOUND: no such image'],
      ['NOT_FOUND', 2, undefined],
    ],
  )
})

test("the runtime's error comes back with its code, text, trailers and details", async (t) => {
  const { runtime, client } = await openServer(t)
  runtime.handle(PULL, ({ stream }) =>
    respond(stream, [], {
      trailers: {
        'grpc-status': '2',
        'grpc-message': 'RegistryUnavailable: down%0A%E2%9C%93',
        'grpc-status-details-bin': DETAILS,
        'x-why': 'because',
      },
    }),
  )

  const answer = await client.call(PULL, [Buffer.from(withImage(new Uint8Array(), 'nginx'))])

  assert.equal(answer.code, 2)
  assert.equal(answer.message, 'RegistryUnavailable: down\n✓')
  const bytes = Buffer.from(String(answer.trailers['grpc-status-details-bin']), 'base64')
  assert.deepEqual(bytes, Buffer.from(DETAILS, 'base64'))
  assert.equal(answer.trailers['x-why'], 'because')
})

test("a caller's deadline reaches the runtime, and without one there is none", async (t) => {
  const { runtime, client } = await openServer(t)
  runtime.handle(PULL, ({ stream }) => respond(stream, [Buffer.alloc(0)]))
  const request = Buffer.from(withImage(new Uint8Array(), 'nginx'))

  await client.call(PULL, [request], { 'grpc-timeout': '5S' })
  await client.call(PULL, [request])

  const [limited, unlimited] = runtime.calls.filter(({ path }) => path === PULL)
  assert.match(String(limited?.headers['grpc-timeout']), /^[1-4]?\d{1,7}m$|^[1-5]S$/)
  assert.equal(unlimited?.headers['grpc-timeout'], undefined)
})

test('a call without a deadline ends at the limit of the configuration, also in the runtime; a pull does not', async (t) => {
  const { runtime, client } = await openServer(t, 100)
  const nginx = Buffer.from(withImage(new Uint8Array(), 'nginx'))
  let answerPull = (): void => {}
  const pulling = new Promise<void>((resolve) => {
    runtime.handle(PULL, ({ stream }) => {
      answerPull = () => respond(stream, [Buffer.from(withString(new Uint8Array(), 1, 'id'))])
      resolve()
    })
  })
  runtime.handle(REMOVE, () => {})
  const pull = client.call(PULL, [nginx])
  await pulling

  const removal = await client.call(REMOVE, [nginx])
  answerPull()

  assert.equal(removal.code, 4)
  assert.match(removal.message, /no answer within 100 ms|out of time/)
  const [call] = runtime.calls.filter(({ path }) => path === REMOVE)
  assert.equal(await call?.closed, 8)
  assert.equal((await pull).code, 0)
})

test('a removal reaches the runtime by the name that it came with', async (t) => {
  const { runtime, client } = await openServer(t)
  runtime.handle(REMOVE, async ({ stream, request }) => {
    await request
    respond(stream, [Buffer.alloc(0)])
  })

  const answer = await client.call(REMOVE, [Buffer.from(withImage(new Uint8Array(), 'nginx'))])

  assert.equal(answer.code, 0)
  const [call] = runtime.calls.filter(({ path }) => path === REMOVE)
  const [request = Buffer.alloc(0)] = (await call?.request) ?? []
  assert.deepEqual(readMessage(request, 1), Buffer.from(withString(new Uint8Array(), 1, 'nginx')))
})

test('a request that is no protobuf is refused, and nothing reaches the runtime', async (t) => {
  const { runtime, client } = await openServer(t)

  for (const path of [PULL, REMOVE]) {
    const answer = await client.call(path, [Buffer.from([10, 200, 1])])

    assert.equal(answer.code, 3, answer.message)
  }
  assert.deepEqual(runtime.calls, [])
})

test('an unexpected error of ours is UNKNOWN and keeps its words to the log', async (t) => {
  const { client } = await openServer(t)
  const service = loadService(
    'imageresolver/v1/imageresolver.proto',
    'imageresolver.v1.ImageResolver',
  )

  const answer = await client.call(RESOLVE, [
    service['ResolveImage']?.requestSerialize({ reference: 'nginx' }) ?? Buffer.alloc(0),
  ])

  assert.equal(answer.code, 2)
  assert.ok(!answer.message.includes('secret'))
})

test('a ResolveImage request of more than 64 KiB is refused before it is decoded', async (t) => {
  const { client } = await openServer(t)
  const token = withString(new Uint8Array(), 6, 't'.repeat(50_000))
  const largest = Buffer.concat([withString(new Uint8Array(), 1, 'nginx'), Buffer.from(token)])

  const taken = await client.call(RESOLVE, [largest])
  const fields = await client.call(RESOLVE, [Buffer.alloc(2 * 1024 * 1024, Buffer.from([32, 1]))])

  assert.equal(taken.code, 2)
  assert.deepEqual(
    [fields.code, fields.message],
    [8, 'Received message larger than max (2097152 vs 65536)'],
  )
})

test('every call is counted once, as it ended: relayed, of ours, refused, left by its client', async (t) => {
  const { runtime, client, metrics } = await openServer(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, ({ stream }) => respond(stream, [Buffer.alloc(0)]))
  runtime.handle(LIST, hang)
  const nginx = Buffer.from(withImage(new Uint8Array(), 'nginx'))

  await client.call('/runtime.v1.RuntimeService/Version')
  await client.call('/runtime.v1.RuntimeService/Status')
  await client.call('/x.Y/Nope')
  await client.call(PULL, [nginx])
  await client.call(PULL, [Buffer.from([10, 200, 1])])
  const left = client.open(LIST)
  const { closed } = await arrived
  left.close(constants.NGHTTP2_CANCEL)
  await closed

  assert.deepEqual(
    metrics.calls.rows().map(({ labels: { method, code }, count }) => [method, code, count]),
    [
      ['RuntimeService/Version', 'OK', 1],
      ['RuntimeService/Status', 'UNIMPLEMENTED', 1],
      ['other', 'UNIMPLEMENTED', 1],
      ['ImageService/PullImage', 'OK', 1],
      ['ImageService/PullImage', 'INVALID_ARGUMENT', 1],
      ['ImageService/ListImages', 'CANCELLED', 1],
    ],
  )
  assert.deepEqual(metrics.pulls, { inFlight: 0, pulled: 0, failed: 0, passedOn: 1 })
})

test('a name of more than 4,096 bytes is refused and goes nowhere, neither on nor into a log', async (t) => {
  const { runtime, client } = await openServer(t)
  const longest = Buffer.from(withImage(new Uint8Array(), 'a'.repeat(4_096)))
  const tooLong = Buffer.from(withImage(new Uint8Array(), 'a'.repeat(1024 * 1024)))
  for (const path of [PULL, REMOVE])
    runtime.handle(path, ({ stream }) => respond(stream, [Buffer.alloc(0)]))

  const taken = await Promise.all([PULL, REMOVE].map((path) => client.call(path, [longest])))
  const seen = runtime.calls.length
  const refused = await Promise.all([PULL, REMOVE].map((path) => client.call(path, [tooLong])))

  assert.deepEqual(
    taken.map(({ code }) => code),
    [0, 0],
  )
  for (const { code, message } of refused) {
    assert.equal(code, 3)
    assert.equal(message, 'the name of the image has 1048576 bytes, and 4096 are the most')
  }
  assert.equal(runtime.calls.length, seen)
})

test('with force the socket opens while the runtime is silent', async (t) => {
  const aliases = {
    route: () => new Promise<never>(() => {}),
    lastRoute: () => undefined,
    isEmpty: () => true,
  } as unknown as Aliases
  const { client } = await openServer(t, 60_000, { force: true, aliases })

  assert.equal((await client.call('/runtime.v1.RuntimeService/Version')).code, 0)
})

test('an end while the runtime is silent is not waited for, and leaves no socket', async (t) => {
  const ending = new AbortController()
  const aliases = {
    route: () => {
      setImmediate(() => ending.abort(new Error('the service ends')))
      return new Promise<never>(() => {})
    },
    lastRoute: () => undefined,
    isEmpty: () => true,
  } as unknown as Aliases

  await assert.rejects(
    openServer(t, 60_000, { aliases, signal: ending.signal }),
    /^Error: the service ends$/,
  )
})
