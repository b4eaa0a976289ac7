import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { RegistryClient } from '../../../src/registry/client.ts'
import type { ImageRequest } from '../../../src/registry/image.ts'
import { createCertificate } from '../../support/certificate.ts'
import {
  answerWith,
  endless,
  FakeRegistry,
  hang,
  refuseWith,
  resetMidBody,
  serve,
  stallMidBody,
  withHeaders,
} from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { startRawServer } from '../../support/listen.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'

const IMAGE = buildImage()

async function start(t: TestContext) {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const images = startImages(t)
  return { registry, images, request: ask(registry, 'library/app', '1') }
}

async function failure(images: RegistryClient, request: ImageRequest): Promise<ResolveError> {
  const error: unknown = await images.image(request, AMD64).catch((thrown: unknown) => thrown)
  assert.ok(error instanceof ResolveError, 'it succeeded')
  return error
}

const STATUSES: readonly [status: number, code: string][] = [
  [400, 'UNSUPPORTED'],
  [401, 'UNAUTHORIZED'],
  [402, 'DENIED'],
  [403, 'DENIED'],
  [404, 'MANIFEST_UNKNOWN'],
  [406, 'UNSUPPORTED'],
  [410, 'MANIFEST_UNKNOWN'],
  [418, 'UNAVAILABLE'],
  [429, 'TOOMANYREQUESTS'],
  [451, 'DENIED'],
  [500, 'UNAVAILABLE'],
  [502, 'UNAVAILABLE'],
  [503, 'UNAVAILABLE'],
]

for (const [status, code] of STATUSES) {
  test(`status ${status} is ${code}, with what the registry said about it`, async (t) => {
    const { registry, images, request } = await start(t)
    registry.behaviour = refuseWith(status)

    const error = await failure(images, request)

    assert.equal(error.code, code)
    assert.equal(error.status, status)
    assert.equal(error.step, 'manifest')
    assert.match(
      error.message,
      new RegExp(`${registry.host}: library/app:1 .*refused with ${status}`),
    )
  })

  test(`status ${status} to a HEAD is ${code} too`, async (t) => {
    const { registry, images, request } = await start(t)
    registry.behaviour = refuseWith(status)

    await assert.rejects(images.digest(request), { code, status, step: 'manifest' })
  })
}

test('the pause that a 429 asks for comes with the error, 10 s when it names none', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = refuseWith(429, { 'retry-after': '30' })
  const told = await failure(images, request)
  registry.behaviour = refuseWith(429)
  const untold = await failure(images, request)

  assert.deepEqual([told.retryAfterMs, untold.retryAfterMs], [30_000, 10_000])
})

test('an error body that is no JSON is not repeated', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = answerWith(502, 'text/html', '<h1>Bad gateway</h1>')

  const { message } = await failure(images, request)

  assert.match(message, /\(502\)$/)
})

test('what a registry says is repeated on one line, short, without the secrets of URLs', async (t) => {
  const { registry, images, request } = await start(t)
  const said = `see\nhttps://s3.corp/x?X-Amz-Signature=abc ${'x'.repeat(10_000)}`
  registry.behaviour = answerWith(500, '', JSON.stringify({ errors: [{ message: said }] }))

  const { message } = await failure(images, request)

  assert.match(message, /see https:\/\/s3\.corp\/x x/)
  assert.doesNotMatch(message, /Signature|\n/)
  assert.ok(message.length < 400)
})

test('a long error body is not read to its end', async (t) => {
  const long = JSON.stringify({ errors: [{ message: 'broken' }], rest: 'x'.repeat(10_000_000) })
  const registry = await startScriptedRegistry(t, [{ status: 500, body: long }])

  const { message } = await failure(startImages(t), ask(registry, 'library/app', '1'))

  assert.match(message, /\(500\)$/)
})

test('a registry that refuses connections is UNAVAILABLE, in words that say so', async (t) => {
  const { registry, images, request } = await start(t)
  await registry.server.stop()

  const error = await failure(images, request)

  assert.equal(error.code, 'UNAVAILABLE')
  assert.equal(error.step, 'connect')
  assert.equal(error.status, undefined)
  assert.equal(error.message, `${registry.host}: connect ECONNREFUSED ${registry.host}`)
})

test('a host that does not exist is UNAVAILABLE', async (t) => {
  const images = startImages(t)
  const request = ask({ url: 'http://no-such-host.invalid:5000' }, 'library/app', '1')

  const error = await failure(images, request)

  assert.equal(error.code, 'UNAVAILABLE')
  assert.equal(error.step, 'connect')
  assert.match(error.message, /^no-such-host\.invalid:5000: /)
})

test('a registry that does not speak TLS is UNAVAILABLE, with the way to mend it', async (t) => {
  const { registry, images, request } = await start(t)
  const endpoint = { ...request.endpoint, scheme: 'https' as const }

  const error = await failure(images, { ...request, endpoint })

  assert.equal(error.code, 'UNAVAILABLE')
  assert.equal(error.step, 'connect')
  assert.match(error.message, /does not speak TLS; .* write http:\/\/ .*wrong version number/)
  assert.equal(registry.requests.length, 0)
})

test('a certificate of an unknown authority is UNAVAILABLE', async (t) => {
  const registry = await FakeRegistry.start(t, { certificate: createCertificate() })
  const images = startImages(t)

  const error = await failure(images, ask(registry, 'library/app', '1'))

  assert.equal(error.step, 'connect')
  assert.match(error.message, /its certificate authority is not trusted on this machine/)
  assert.equal(registry.requests.length, 0)
})

test('a certificate of a trusted authority is taken', async (t) => {
  const certificate = createCertificate()
  const registry = await FakeRegistry.start(t, { certificate })
  registry.put('library/app', '1', IMAGE)
  const images = startImages(t, { ca: certificate.cert })

  const { imageId } = await images.image(ask(registry, 'library/app', '1'), AMD64)

  assert.equal(imageId, IMAGE.imageId)
})

test('a registry that takes the request and says nothing is out of time', async (t) => {
  const { registry, request } = await start(t)
  registry.behaviour = hang
  const images = startImages(t, { attemptTimeoutMs: 50 })

  const error = await failure(images, request)

  assert.equal(error.code, 'DEADLINE_EXCEEDED')
  assert.equal(error.step, 'manifest')
  assert.equal(error.message, `${registry.host}: library/app:1: no answer within 50 ms`)
})

test('a registry that stalls within its answer is out of time', async (t) => {
  const { registry, request } = await start(t)
  registry.behaviour = stallMidBody
  const images = startImages(t, { attemptTimeoutMs: 50 })

  await assert.rejects(images.image(request, AMD64), { code: 'DEADLINE_EXCEEDED' })
})

test('a host that accepts and never begins TLS is out of time', async (t) => {
  const { host } = await startRawServer(t, () => {})
  const images = startImages(t, { attemptTimeoutMs: 50 })

  const error = await failure(images, ask({ url: `https://${host}` }, 'library/app', '1'))

  assert.equal(error.code, 'DEADLINE_EXCEEDED')
})

test('a caller that leaves is CANCELED, and its connection is given up', async (t) => {
  const { registry, images, request } = await start(t)
  const caller = new AbortController()
  const asked = new Promise<void>((resolve) => {
    registry.behaviour = ({ request: incoming }) => {
      incoming.socket.once('close', () => closed())
      resolve()
    }
  })
  let closed = () => {}
  const gone = new Promise<void>((resolve) => {
    closed = resolve
  })
  const answer = images.image({ ...request, signal: caller.signal }, AMD64)
  await asked

  caller.abort()

  await assert.rejects(answer, { code: 'CANCELED', step: 'manifest' })
  await gone
})

test('a caller that has left sends no request', async (t) => {
  const { registry, images, request } = await start(t)

  await assert.rejects(images.image({ ...request, signal: AbortSignal.abort() }, AMD64), {
    code: 'CANCELED',
  })
  assert.equal(registry.requests.length, 0)
})

test('an answer that breaks off is UNAVAILABLE', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = resetMidBody

  const error = await failure(images, request)

  assert.equal(error.code, 'UNAVAILABLE')
  assert.equal(error.step, 'manifest')
})

test('what is no HTTP is UNAVAILABLE', async (t) => {
  const { url } = await startRawServer(t, (socket) => socket.end('SSH-2.0-OpenSSH\r\n'))
  const images = startImages(t)

  const error = await failure(images, ask({ url }, 'library/app', '1'))

  assert.equal(error.code, 'UNAVAILABLE')
})

test('a body without an end is refused after 4 MiB', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = endless

  const error = await failure(images, request)

  assert.equal(error.code, 'MANIFEST_INVALID')
  assert.match(error.message, /larger than 4 MiB/)
})

test('a body that announces more than 4 MiB is not read', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = withHeaders({ 'content-length': String(4 * 1024 * 1024 + 1) })

  const error = await failure(images, request)

  assert.equal(error.code, 'MANIFEST_INVALID')
  assert.equal(error.status, 200)
})

test('a page of HTML is no manifest', async (t) => {
  const { registry, images, request } = await start(t)
  registry.behaviour = answerWith(200, 'text/html', '<html>log in to the network</html>')

  await assert.rejects(images.image(request, AMD64), { code: 'MANIFEST_INVALID' })
  await assert.rejects(images.digest(request), { code: 'MANIFEST_INVALID' })
})

test('no failure is tried a second time', async (t) => {
  const { registry, images, request } = await start(t)
  const behaviours = [refuseWith(500), refuseWith(404), resetMidBody, answerWith(200, '', 'x')]

  for (const behaviour of behaviours) {
    registry.behaviour = behaviour
    await failure(images, request)
  }

  assert.equal(registry.requests.length, behaviours.length)
})

test('failures give their connections back', async (t) => {
  const { registry, images, request } = await start(t)

  for (let round = 0; round < 10; round += 1) {
    for (const behaviour of [refuseWith(500), refuseWith(404), answerWith(200, '', 'x')]) {
      registry.behaviour = behaviour
      await failure(images, request)
    }
  }

  assert.ok(registry.server.accepted() <= 3, `${registry.server.accepted()} connections`)
})

test('closing the client ends its connections', async (t) => {
  const { registry, images, request } = await start(t)
  const closed = new Promise<void>((resolve) => {
    registry.behaviour = (exchange) => {
      exchange.request.socket.once('close', () => resolve())
      serve(exchange)
    }
  })
  await images.image(request, AMD64)

  await images.close()

  await closed
  await assert.rejects(images.image(request, AMD64), { code: 'UNAVAILABLE' })
})
