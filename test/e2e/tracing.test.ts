import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { startDaemon } from '../support/daemon.ts'
import { REGISTRY_USER, startDockerRegistry } from '../support/docker-registry.ts'
import { FakeRegistry } from '../support/fake-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { startRawServer } from '../support/listen.ts'
import { type Collector, pathOf, startCollector } from '../support/otlp-collector.ts'
import { startRegistryProxy } from '../support/registry-proxy.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'
import { writingsOf } from '../support/strict-protobuf.ts'

const CALLER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const IMAGE = buildImage()
const PULL = 'runtime.v1.ImageService/PullImage'

test("a pull, its failed attempt and its naming are one tree below kubelet's span", async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const [collector, containerd, registry] = await Promise.all([
    startCollector(t),
    startContainerd(t),
    startDockerRegistry(t, { auth: true }),
  ])
  const [sick, good] = [
    await startRegistryProxy(t, registry.url),
    await startRegistryProxy(t, registry.url),
  ]
  sick.behave({ kind: 'answer', status: 503 })
  await pushImage(registry.url, 'team/app', '1', IMAGE, registry.headers)
  const daemon = await startDaemon(t, {
    cri: containerd.socketPath,
    config: {
      registries: [
        { address: sick.url, priority: 900 },
        { address: good.url, priority: 100, ...REGISTRY_USER },
      ],
    },
    environment: { ...collector.env, OTEL_RESOURCE_ATTRIBUTES: 'k8s.node.name=node-1' },
  })

  await criClient(t, daemon.socketPath).pullImage('registry.example.com/team/app:1', undefined, {
    metadata: { traceparent: CALLER },
  })

  const spans = await collector.find((all) =>
    all.some(({ name }) => name === PULL) ? all : undefined,
  )
  const of = (name: string) => spans.filter((span) => span.name === name)
  const [call] = of(PULL)
  assert.deepEqual([call?.traceId, call?.parentSpanId], [TRACE, 'b7ad6b7169203331'])
  assert.equal(call?.resource['k8s.node.name'], 'node-1')
  for (const [name, path] of [
    ['resolve', ['resolve', PULL]],
    ['attempt', ['attempt', 'resolve', PULL]],
    ['GET', ['GET', 'attempt', 'resolve', PULL]],
    ['pull', ['pull', PULL]],
    ['name', ['name', 'pull', PULL]],
  ] as const) {
    assert.ok(of(name).length > 0, name)
    for (const span of of(name)) assert.deepEqual(pathOf(span, spans), path)
  }
  const outcomes = of('attempt').map(({ attributes }) => [
    attributes['server.address'],
    attributes['image_resolver.outcome'],
  ])
  assert.deepEqual(outcomes, [
    [sick.host, 'server_error'],
    [good.host, 'ok'],
  ])
  const [pull] = of('pull')
  assert.equal(pull?.attributes['oci.manifest.digest'], IMAGE.digest)
  assert.equal(pull?.attributes['server.address'], good.host)
  // Of what containerd asks it says nothing.
  const ours = good.requests.filter(({ headers }) => headers['user-agent'] === 'image-resolver')
  const told = ours.map(({ headers }) => headers['traceparent'])
  const clients = spans.filter(({ kind }) => kind === 3)
  for (const traceparent of told) {
    assert.ok(
      clients.some(({ spanId }) => traceparent === `00-${TRACE}-${spanId}-01`),
      traceparent as string,
    )
  }
  assert.ok(told.length > 0)
  assert.doesNotMatch(JSON.stringify(spans), new RegExp(REGISTRY_USER.password))
})

/** The service, with one registry that has one image. */
async function start(t: TestContext, environment: Readonly<Record<string, string>>) {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const daemon = await startDaemon(t, { config: { address: registry.url }, environment })
  const resolve = async () => {
    const url = new URL('/resolve?ref=app:1', daemon.httpUrl())
    return (await fetch(url, { headers: { traceparent: CALLER } })).status
  }
  return { daemon, resolve }
}

test('the same question over HTTP, and what is left at the end is exported, as protobuf by default', async (t) => {
  const collector = await startCollector(t)
  const { daemon, resolve } = await start(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.server.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=team',
    OTEL_BSP_SCHEDULE_DELAY: '3600000',
  })
  assert.deepEqual([await resolve(), await resolve()], [200, 200])
  assert.equal(collector.requests.length, 0)

  assert.equal(await daemon.stop(), 0)

  const [request] = collector.requests
  assert.ok(request)
  assert.equal(request.path, '/v1/traces')
  assert.equal(request.headers['content-type'], 'application/x-protobuf')
  assert.equal(request.headers['x-tenant'], 'team')
  // ExportTraceServiceRequest.resource_spans, .scope_spans, .spans
  let messages: readonly Buffer[] = [request.body]
  for (const field of [1, 2, 2]) {
    messages = messages.flatMap((message) => writingsOf(message, field) ?? assert.fail())
  }
  const names = messages.map((span) => String(writingsOf(span, 5)))
  assert.deepEqual(names, ['GET', 'attempt', 'resolve', 'GET /resolve', 'resolve', 'GET /resolve'])
  for (const span of messages) assert.equal(writingsOf(span, 1)?.[0]?.toString('hex'), TRACE)
})

const SICK: Readonly<Record<string, (t: TestContext) => Promise<string>>> = {
  'is dead': async (t) => {
    const { stop, url } = await startRawServer(t, () => {})
    await stop()
    return url
  },
  'is silent': async (t) => (await startRawServer(t, () => {})).url,
  'answers 500': async (t) => answering(await startCollector(t), 500),
}

function answering(collector: Collector, status: number): string {
  collector.answer(status)
  return collector.server.url
}

for (const [what, startSick] of Object.entries(SICK)) {
  test(`a collector that ${what} costs nothing but spans, and the end waits for it no longer than two seconds`, async (t) => {
    const { daemon, resolve } = await start(t, {
      OTEL_EXPORTER_OTLP_ENDPOINT: await startSick(t),
      OTEL_BSP_SCHEDULE_DELAY: '1',
      // Longer than the test lets a program live after SIGTERM.
      OTEL_EXPORTER_OTLP_TIMEOUT: '600000',
    })

    for (let count = 0; count < 50; count += 1) assert.equal(await resolve(), 200)

    assert.equal(await daemon.stop(), 0)
    const warnings =
      daemon
        .program()
        .output()
        .match(/spans cannot be exported/g) ?? []
    assert.ok(warnings.length <= 1)
  })
}
