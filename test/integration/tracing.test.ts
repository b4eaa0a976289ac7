import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createNaming } from '../../src/runtime/names/naming.ts'
import type { ImageNames } from '../../src/runtime/types.ts'
import { type Core, createCore } from '../../src/service/core.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { openTracing } from '../../src/telemetry/open-tracing.ts'
import { traced, tracing } from '../../src/telemetry/tracing.ts'
import { loadText } from '../support/config.ts'
import { FakeRegistry, refuseWith } from '../support/fake-registry.ts'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { openApp } from '../support/http-app.ts'
import { startServer } from '../support/http-server.ts'
import { buildImage } from '../support/images.ts'
import {
  type CollectedSpan,
  type Collector,
  pathOf,
  startTracing,
} from '../support/otlp-collector.ts'
import { AMD64, ask, startImages } from '../support/registry-images.ts'

const CALLER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const IMAGE = buildImage()

function openCore(t: TestContext, text: string): Core {
  // However long a registry takes on a busy machine, no other one is asked beside it.
  const patient = 'image: /nowhere\nprobeBudget: 20s\nhedgeDelay: 0\n'
  const core = createCore(loadText(`${text}\n${patient}`).config, silentLogger())
  t.after(() => core.close())
  return core
}

/** Resolves with all that was collected, when the last span of these names is there. */
function spansUntil(collector: Collector, count: number, name: string) {
  return collector.find((spans) =>
    spans.filter((span) => span.name === name).length >= count ? spans : undefined,
  )
}

function named(spans: readonly CollectedSpan[], name: string): readonly CollectedSpan[] {
  return spans.filter((span) => span.name === name)
}

test('a resolution, its attempts and their requests are one tree, with the fault that one had', async (t) => {
  const { collector } = await startTracing(t)
  const [sick, good] = await Promise.all([FakeRegistry.start(t), FakeRegistry.start(t)])
  sick.behaviour = refuseWith(503)
  good.put('library/app', '1', IMAGE)
  const core = openCore(
    t,
    `registries: [{ address: "${sick.url}", priority: 900 }, { address: "${good.url}", priority: 100 }]`,
  )

  await core.answers.answer('app:1')

  const spans = await spansUntil(collector, 1, 'resolve')
  const [resolve = assert.fail()] = named(spans, 'resolve')
  const [failed = assert.fail(), ok = assert.fail()] = named(spans, 'attempt')
  const [refused = assert.fail(), got = assert.fail()] = spans.filter(({ kind }) => kind === 3)
  assert.equal(resolve.parentSpanId, undefined)
  assert.deepEqual(pathOf(refused, spans), ['GET', 'attempt', 'resolve'])
  assert.deepEqual(pathOf(got, spans), ['GET', 'attempt', 'resolve'])
  assert.equal(resolve.resource['service.name'], 'image-resolver')
  assert.equal(resolve.resource['service.version'], '1.2.3')
  assert.deepEqual(resolve.attributes, {
    'container.image.name': 'docker.io/library/app',
    'container.image.tags': ['1'],
    'image_resolver.platform': `linux/${process.arch === 'x64' ? 'amd64' : 'arm64/v8'}`,
    'oci.manifest.digest': IMAGE.digest,
    'container.image.id': IMAGE.imageId,
    'image_resolver.registry': good.host,
    'image_resolver.source': 'registry',
  })
  assert.equal(failed.attributes['server.address'], sick.host)
  assert.equal(failed.attributes['image_resolver.outcome'], 'server_error')
  assert.equal(failed.attributes['error.type'], 'server_error')
  assert.equal(failed.status.code, 2)
  assert.equal(ok.attributes['image_resolver.outcome'], 'ok')
  assert.equal(ok.status.code ?? 0, 0)
  assert.equal(refused.attributes['http.response.status_code'], 503)
  assert.equal(got.attributes['url.full'], `${good.url}/v2/library/app/manifests/1`)
  // The registries, which the operator named, go on in our trace.
  const parents = [sick, good].map(({ requests }) => requests[0]?.headers['traceparent'])
  assert.deepEqual(parents, [
    `00-${resolve.traceId}-${refused.spanId}-01`,
    `00-${resolve.traceId}-${got.spanId}-01`,
  ])
})

test('a caller that joins a resolution has a link to it, and an answer of the cache is a span too', async (t) => {
  const { collector } = await startTracing(t)
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const core = openCore(t, `address: "${registry.url}"`)
  const find = core.resolver.prepare(reference())

  await Promise.all([core.answers.answer('app:1'), core.answers.answer('app:1')])
  await core.answers.answer('app:1')
  find()

  const spans = named(await spansUntil(collector, 4, 'resolve'), 'resolve')
  const [joined, ...others] = spans.filter(({ links }) => links.length > 0)
  assert.deepEqual(others, [])
  assert.equal(joined?.attributes['image_resolver.coalesced'], true)
  assert.ok(spans.some(({ spanId }) => spanId === joined?.links[0]?.spanId))
  const sources = spans.map(({ attributes }) => attributes['image_resolver.source'])
  assert.deepEqual(sources.toSorted(), ['cache', 'cache', 'registry', 'registry'])
})

function reference() {
  return { domain: 'docker.io', path: 'library/app', tag: '1', digest: undefined }
}

test('an absent image is a resolution that failed, and the 404 of its registry no fault', async (t) => {
  const { collector } = await startTracing(t)
  const registry = await FakeRegistry.start(t)
  const core = openCore(t, `address: "${registry.url}"\nmirrorsOnly: [docker.io]`)

  await assert.rejects(core.answers.answer('app:1'), { code: 'MANIFEST_UNKNOWN' })

  const spans = await spansUntil(collector, 1, 'resolve')
  const [resolve] = named(spans, 'resolve')
  const [request] = named(spans, 'GET')
  assert.equal(resolve?.attributes['error.type'], 'MANIFEST_UNKNOWN')
  assert.match(resolve?.status.message ?? '', /library\/app:1/)
  assert.equal(request?.attributes['http.response.status_code'], 404)
  assert.equal(request?.status.code ?? 0, 0)
})

test('no `traceparent` goes to public registries, nor to those that the operator did not name', async (t) => {
  await startTracing(t)
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const proxy = await startForwardProxy(t, registry.host)
  const images = startImages(t, { proxy: { http: proxy.url, https: proxy.url } })
  const told: (string | boolean)[] = []

  for (const [host, configured] of [
    ['registry.corp', true],
    ['registry.corp', false],
    ['quay.io', true],
    ['registry-1.docker.io', true],
  ] as const) {
    const request = { ...ask({ url: `http://${host}` }, 'library/app', '1'), configured }
    await traced('attempt', {}, () => images.image(request, AMD64))
    told.push(host, registry.requests.at(-1)?.headers['traceparent'] !== undefined)
  }

  assert.deepEqual(told, [
    ...['registry.corp', true, 'registry.corp', false],
    ...['quay.io', false, 'registry-1.docker.io', false],
  ])
})

test('a resolver is asked with `traceparent`', async (t) => {
  const { collector } = await startTracing(t)
  const seen: (string | undefined)[] = []
  const resolver = await startServer(t, ({ headers }, response) => {
    seen.push(String(headers['traceparent']))
    response.writeHead(500).end()
  })
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const core = openCore(t, `address: "${registry.url}"\nresolvers: ["${resolver.url}"]`)

  await core.answers.answer('app:1')

  const spans = await spansUntil(collector, 1, 'resolve')
  const request = spans.find(
    ({ attributes }) => attributes['url.full'] === `${resolver.url}/resolve`,
  )
  assert.deepEqual(seen, [`00-${request?.traceId}-${request?.spanId}-01`])
  assert.deepEqual(pathOf(request ?? assert.fail(), spans), ['GET', 'resolve'])
})

test('an HTTP request is a span below its caller, unless it is one for health', async (t) => {
  const { collector } = await startTracing(t)
  const app = await openApp(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { traceparent: CALLER },
    })
    await response.arrayBuffer()
  }

  for (const path of ['/livez', '/metrics', '/resolve?ref=nginx']) await get(path)

  const spans = await collector.find((all) => (all.length > 0 ? all : undefined))
  assert.deepEqual(
    spans.map(({ name, kind, traceId, parentSpanId }) => [name, kind, traceId, parentSpanId]),
    [['GET /resolve', 2, TRACE, 'b7ad6b7169203331']],
  )
  assert.deepEqual(spans[0]?.attributes, {
    'http.request.method': 'GET',
    'http.route': '/resolve',
    'url.path': '/resolve',
    'url.scheme': 'http',
    'http.response.status_code': 200,
  })
})

test('names that are given after a pull are a span, with the error that kept them from being given', async (t) => {
  const { collector } = await startTracing(t)
  const notFound = Object.assign(new Error('5 NOT_FOUND: gone'), { code: 5 })
  const names = (fails: boolean): ImageNames => ({
    available: async () => true,
    withLease: async (_name, pull) => {
      const id = await pull()
      if (fails) throw notFound
      return id
    },
    name: async () => true,
    whole: async () => undefined,
    settle: () => undefined,
  })

  for (const fails of [false, true]) {
    const naming = createNaming({
      containerd: names(fails),
      aliases: { ...names(fails), locate: async () => ({ kind: 'asked' }) },
      onLost: () => {},
    })
    const pull = () =>
      naming.withLease('mirror/app@x', async () => 'id', ['docker.io/library/app:1'])
    if (fails) await assert.rejects(traced('pull', {}, pull), notFound)
    else assert.equal(await traced('pull', {}, pull), 'id')
  }

  const spans = await spansUntil(collector, 2, 'pull')
  const given = named(spans, 'name')
  assert.deepEqual(
    given.map((span) => [pathOf(span, spans), span.attributes]),
    [
      [['name', 'pull'], { 'image_resolver.names': ['docker.io/library/app:1'] }],
      [
        ['name', 'pull'],
        { 'image_resolver.names': ['docker.io/library/app:1'], 'error.type': 'NOT_FOUND' },
      ],
    ],
  )
})

test('what is logged in the course of a span says so', async (t) => {
  await startTracing(t)

  const inside = await traced('pull', {}, async () => tracing?.logFields())

  assert.match(inside?.traceId ?? '', /^[\da-f]{32}$/)
  assert.match(inside?.spanId ?? '', /^[\da-f]{16}$/)
  assert.deepEqual(tracing?.logFields(), {})
})

test('a collector that refuses spans is logged once, and once when it takes them again', async (t) => {
  const { collector, logged } = await startTracing(t)
  collector.answer(400)
  for (const count of [1, 2]) {
    // The timer of the batch begins where the inner one ends, which is within the outer one.
    await traced('pull', {}, () => traced('name', {}, async () => {}))
    await collector.refused(count)
  }
  collector.answer(200)
  await traced('pull', {}, async () => {})
  await logged.until('spans are exported again')

  const messages = logged.lines.map(([message]) => message)
  assert.deepEqual(messages, [
    'spans are exported',
    'spans cannot be exported',
    'spans are exported again',
  ])
  assert.ok(
    logged.lines.every(([, fields]) => !('traceId' in fields)),
    'of one span among many',
  )
})

for (const [what, env, reason] of [
  [
    'a certificate that cannot be read',
    { OTEL_EXPORTER_OTLP_CERTIFICATE: '/nowhere/ca.pem' },
    /^OTEL_EXPORTER_OTLP_CERTIFICATE: \/nowhere\/ca\.pem cannot be read/,
  ],
  [
    'a certificate of a client that cannot be read',
    { OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: '/nowhere/client.pem' },
    /^OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: \/nowhere\/client\.pem cannot be read/,
  ],
  [
    'a key of a client that cannot be read',
    { OTEL_EXPORTER_OTLP_CLIENT_KEY: '/nowhere/key.pem' },
    /^OTEL_EXPORTER_OTLP_CLIENT_KEY: \/nowhere\/key\.pem cannot be read/,
  ],
  [
    'a sampler that is none',
    { OTEL_TRACES_SAMPLER: 'sometimes' },
    /OTEL_TRACES_SAMPLER .*sometimes/,
  ],
  [
    'a share of traces that is none',
    { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '7' },
    /OTEL_TRACES_SAMPLER_ARG=7 .*out of range/,
  ],
  [
    'a timeout that is no number',
    { OTEL_EXPORTER_OTLP_TIMEOUT: '10s' },
    /'10s' for OTEL_EXPORTER_OTLP_TIMEOUT, expected a number/,
  ],
  [
    'a timeout of nothing',
    { OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '0' },
    /OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is invalid/,
  ],
  [
    'a compression that is none',
    { OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd' },
    /OTEL_EXPORTER_OTLP_COMPRESSION is invalid/,
  ],
  [
    'a header without a name',
    { OTEL_EXPORTER_OTLP_HEADERS: 'x-a=1,Bearer s3cret' },
    /^OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not name=value/,
  ],
  [
    'a header that is no escaped text',
    { OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'authorization=s3cret%' },
    /^OTEL_EXPORTER_OTLP_TRACES_HEADERS: entry 1 is not name=value/,
  ],
  [
    'attributes that are none',
    { OTEL_RESOURCE_ATTRIBUTES: 'a=1,s3cret' },
    /^OTEL_RESOURCE_ATTRIBUTES is not a list of name=value/,
  ],
  [
    'a limit that is no number',
    { OTEL_SPAN_EVENT_COUNT_LIMIT: 'many' },
    /'many' for OTEL_SPAN_EVENT_COUNT_LIMIT/,
  ],
] as const) {
  test(`${what} is logged once, and spans are exported without it`, async (t) => {
    const { collector, logged } = await startTracing(t, env)

    await traced('pull', {}, async () => {})

    await spansUntil(collector, 1, 'pull')
    const warnings = logged.lines.filter(([message]) => message !== 'spans are exported')
    assert.equal(warnings.length, 1, JSON.stringify(warnings))
    const [[message, fields] = []] = warnings
    assert.equal(message, 'tracing is not as it was set')
    assert.match((fields as { reason: string }).reason, reason)
    assert.ok(!JSON.stringify(logged.lines).includes('s3cret'))
  })
}

for (const [name, env, reason] of [
  ['no endpoint', {}, undefined],
  ['an empty endpoint', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, undefined],
  [
    'OTEL_SDK_DISABLED',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_SDK_DISABLED: 'TRUE' },
    undefined,
  ],
  [
    'no exporter',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_TRACES_EXPORTER: 'none' },
    undefined,
  ],
  [
    'another exporter',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_TRACES_EXPORTER: 'zipkin' },
    /zipkin: set otlp/,
  ],
  [
    'gRPC',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    /grpc is not supported.*4318/,
  ],
  [
    'a protocol that is none',
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'carrier',
    },
    /carrier is not supported: set http\/protobuf or http\/json/,
  ],
  [
    'no span in a batch',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '0' },
    /OTEL_BSP_MAX_EXPORT_BATCH_SIZE is 0: set a whole number above 0/,
  ],
  [
    'no room in the queue',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_BSP_MAX_QUEUE_SIZE: '-1' },
    /OTEL_BSP_MAX_QUEUE_SIZE is -1: set a whole number above 0/,
  ],
  ['no URL', { OTEL_EXPORTER_OTLP_ENDPOINT: 'secret' }, /Invalid URL/],
  ['no http URL', { OTEL_EXPORTER_OTLP_ENDPOINT: 'user:secret@collector' }, /no http URL/],
] as const) {
  test(`nothing is traced with ${name}`, async () => {
    const logged: string[] = []
    const log = (fields: object, message: string) =>
      logged.push(`${message} ${JSON.stringify(fields)}`)

    const close = await openTracing({ version: '1', env, logger: { info: log, warn: log } })

    assert.equal(tracing, undefined)
    assert.equal(await traced('pull', {}, async (span) => span), undefined)
    assert.equal(await close(), true)
    assert.equal(logged.length, reason === undefined ? 0 : 1)
    if (reason !== undefined) assert.match(logged[0] ?? '', reason)
    assert.doesNotMatch(logged.join(), /secret/)
  })
}
