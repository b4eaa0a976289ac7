import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants } from 'node:http2'
import { test } from 'node:test'
import { versionsOn } from '../../../src/cri/version-bridge.ts'
import { readString, withString } from '../../../src/cri/wire.ts'
import { forcedVersion } from '../../../src/runtime/versions.ts'
import { type FakeRuntime, hanging, respond, respondStatus } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { startRelay } from '../../support/relay.ts'

const { NGHTTP2_CANCEL } = constants
const RUNTIME_NAME = 2
const API_VERSION = 4

function versionResponse(apiVersion: string): Buffer {
  const fields = [
    [1, '0.1.0'],
    [RUNTIME_NAME, 'containerd'],
    [3, '1.4.0'],
    [API_VERSION, apiVersion],
    [77, 'what nobody knows yet'],
  ] as const
  let message: Uint8Array = new Uint8Array()
  for (const [number, text] of fields) message = withString(message, number, text)
  return Buffer.from(message)
}

/** A runtime that serves one version of CRI and says UNIMPLEMENTED to all else. */
function serving(runtime: FakeRuntime, version: string): FakeRuntime {
  return runtime
    .handle(`/runtime.${version}.RuntimeService/Version`, ({ stream }) =>
      respond(stream, [versionResponse(version)], { headers: { 'x-from': version } }),
    )
    .handle(`/runtime.${version}.ImageService/ImageStatus`, async ({ stream, request }) =>
      respond(stream, await request),
    )
}

for (const [client, served] of [
  ['v1', 'v1alpha2'],
  ['v1alpha2', 'v1'],
] as const) {
  test(`a client of ${client} is put through to a runtime of ${served}`, async (t) => {
    const { runtime, path } = await startRelay(t, { versions: versionsOn })
    serving(runtime, served)
    const message = Buffer.from([10, 3, 120, 58, 49, 200, 6, 1])

    const answer = await openGrpcClient(t, path).call(
      `/runtime.${client}.ImageService/ImageStatus`,
      [message],
      { traceparent: 'kept' },
    )

    assert.equal(answer.code, 0)
    assert.deepEqual(answer.messages, [message])
    const call = runtime.calls.at(-1)
    assert.equal(call?.path, `/runtime.${served}.ImageService/ImageStatus`)
    assert.equal(call?.headers['traceparent'], 'kept')
  })

  test(`a client of ${client} hears of its own version from a runtime of ${served}`, async (t) => {
    const { runtime, path } = await startRelay(t, { versions: versionsOn })
    serving(runtime, served)

    const answer = await openGrpcClient(t, path).call(`/runtime.${client}.RuntimeService/Version`)

    assert.equal(answer.code, 0)
    assert.equal(answer.headers['x-from'], served)
    assert.deepEqual(answer.messages, [versionResponse(client)])
    assert.equal(readString(answer.messages[0] ?? Buffer.alloc(0), RUNTIME_NAME), 'containerd')
  })
}

test('a runtime is asked for its version once for each client, others of its calls not again', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  serving(runtime, 'v1alpha2')
  const client = openGrpcClient(t, path)

  await Promise.all([1, 2, 3].map(() => client.call('/runtime.v1.ImageService/ImageStatus')))
  await client.call('/runtime.v1.ImageService/ImageStatus')

  assert.deepEqual(runtime.calls.map(({ path: called }) => called).sort(), [
    '/runtime.v1.RuntimeService/Version',
    ...Array(4).fill('/runtime.v1alpha2.ImageService/ImageStatus'),
    '/runtime.v1alpha2.RuntimeService/Version',
  ])
})

test('what the runtime serves in the client’s own version passes as it came', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  serving(serving(runtime, 'v1'), 'v1alpha2')
  const client = openGrpcClient(t, path)

  for (const version of ['v1', 'v1alpha2']) {
    const answer = await client.call(`/runtime.${version}.RuntimeService/Version`)

    assert.deepEqual(answer.messages, [versionResponse(version)])
  }
})

test('what only v1 has ends as Unimplemented, in the words of the runtime', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  serving(runtime, 'v1alpha2')

  const answer = await openGrpcClient(t, path).call('/runtime.v1.ImageService/StreamImages')

  assert.equal(answer.code, 12)
  assert.equal(answer.trailersOnly, true)
  assert.equal(answer.message, 'unknown method /runtime.v1alpha2.ImageService/StreamImages')
})

test('the version is found out anew when the runtime restarts as another', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  serving(runtime, 'v1alpha2')
  const client = openGrpcClient(t, path)
  await client.call('/runtime.v1.ImageService/ImageStatus')

  await runtime.stop()
  const away = await client.call('/runtime.v1.ImageService/ImageStatus')
  for (const method of ['RuntimeService/Version', 'ImageService/ImageStatus']) {
    runtime.handle(`/runtime.v1alpha2.${method}`, ({ stream }) => respondStatus(stream, 12, 'gone'))
  }
  serving(runtime, 'v1')
  await runtime.start()
  const answer = await client.call('/runtime.v1.ImageService/ImageStatus')

  assert.deepEqual([away.code, answer.code], [14, 0])
  assert.equal(runtime.calls.at(-1)?.path, '/runtime.v1.ImageService/ImageStatus')
})

test('a runtime that is starting is no older one: its calls say so, and later ones work', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  const starting = 'server is not initialized yet'
  for (const method of ['RuntimeService/Version', 'ImageService/ImageStatus']) {
    runtime.handle(`/runtime.v1.${method}`, ({ stream }) => respondStatus(stream, 14, starting))
  }
  const client = openGrpcClient(t, path)

  const before = await client.call('/runtime.v1.ImageService/ImageStatus')
  serving(runtime, 'v1')
  const after = await client.call('/runtime.v1.ImageService/ImageStatus')

  assert.deepEqual([before.code, before.message, after.code], [14, starting, 0])
  assert.ok(runtime.calls.every(({ path: called }) => !called.includes('v1alpha2')))
})

test('a client that leaves while the version is being found out makes no call', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  const { arrived, hang } = hanging()
  serving(runtime, 'v1').handle('/runtime.v1.RuntimeService/Version', hang)
  const client = openGrpcClient(t, path)
  const stream = client.open('/runtime.v1.ImageService/ImageStatus')
  const question = await arrived
  const gone = once(stream, 'close')
  stream.close(NGHTTP2_CANCEL)
  await gone
  respond(question.stream, [versionResponse('v1')])

  // A second call is behind the first one in every queue.
  const answer = await client.call('/runtime.v1.ImageService/ImageStatus')

  assert.equal(answer.code, 0)
  const statuses = runtime.calls.filter(({ path: called }) => called.endsWith('ImageStatus'))
  assert.equal(statuses.length, 1)
})

test('a version that the configuration forces is spoken without asking', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: () => forcedVersion('v1alpha2') })
  serving(serving(runtime, 'v1'), 'v1alpha2')

  const answer = await openGrpcClient(t, path).call('/runtime.v1.RuntimeService/Version')

  assert.deepEqual(answer.messages, [versionResponse('v1')])
  assert.deepEqual(
    runtime.calls.map(({ path: called }) => called),
    ['/runtime.v1alpha2.RuntimeService/Version'],
  )
})

test('an answer that is no Version passes as it is', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: () => forcedVersion('v1alpha2') })
  const huge = Buffer.alloc(200_000, 7)
  let body = huge
  runtime.handle('/runtime.v1alpha2.RuntimeService/Version', ({ stream }) =>
    respond(stream, [body]),
  )
  const client = openGrpcClient(t, path)

  for (const each of [huge, Buffer.from([255])]) {
    body = each
    const answer = await client.call('/runtime.v1.RuntimeService/Version')

    assert.deepEqual(answer.messages, [each])
  }
})

test('other services pass without a question, whatever the runtime speaks', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  runtime.handle('/x.Y/Z', ({ stream }) => respond(stream, []))

  const answer = await openGrpcClient(t, path).call('/x.Y/Z')

  assert.equal(answer.code, 0)
  assert.equal(runtime.calls.length, 1)
})
