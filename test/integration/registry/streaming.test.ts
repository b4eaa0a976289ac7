import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RegistryClient, RegistryClientOptions } from '../../../src/registry/client.ts'
import type { ImageRequest } from '../../../src/registry/image.ts'
import { giveBack } from '../../../src/registry/transport/read-buffers.ts'
import { createCertificate } from '../../support/certificate.ts'
import { type Behaviour, FakeRegistry, hang, serve } from '../../support/fake-registry.ts'
import { startForwardProxy } from '../../support/forward-proxy.ts'
import { buildImage, content } from '../../support/images.ts'
import { ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { temporaryFolder } from '../../support/stack.ts'

// Blobs go another way than manifests (src/registry/transport/streaming-client.ts): under the same guards.

const LAYER = content('application/octet-stream', Buffer.alloc(1024 * 1024, 'layer-'))
const IMAGE = { ...buildImage({ seed: 'streaming' }), blobs: [LAYER] }
const BLOB = { method: 'GET', kind: 'blobs' } as const
const PATH = `/v2/library/app/blobs/${LAYER.digest}`
/** Looked up by the proxy alone, which goes to the test's own registry. */
const NAME = 'registry.invalid'

async function stocked(t: TestContext, tls?: ReturnType<typeof createCertificate>) {
  const registry = await FakeRegistry.start(t, tls === undefined ? {} : { certificate: tls })
  registry.put('library/app', '1', IMAGE)
  return registry
}

function askBlob(registry: { readonly url: string }, more: Partial<ImageRequest> = {}) {
  return { ...ask(registry, 'library/app', LAYER.digest), ...more }
}

async function read(images: RegistryClient, request: ImageRequest): Promise<Buffer> {
  const { status, body } = await images.open(request, BLOB)
  assert.equal(status, 200)
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

test('one connection carries blob after blob', async (t) => {
  const registry = await stocked(t)
  const ports = new Set<number | undefined>()
  registry.behaviour = (exchange) => {
    ports.add(exchange.request.socket.remotePort)
    serve(exchange)
  }
  const images = startImages(t)

  for (let count = 0; count < 3; count += 1) {
    const bytes = await read(images, askBlob(registry))

    assert.ok(bytes.equals(LAYER.bytes))
    // It is free a turn after its last byte came.
    await new Promise(setImmediate)
  }

  assert.equal(ports.size, 1)
})

for (const [parser, eol] of [
  ['undici', '\r\n'],
  ["Node's lenient parser", '\n'],
] as const) {
  test(`chunks of one byte are held in fewer pieces, and are the same: ${parser}`, async (t) => {
    const registry = await stocked(t)
    const bytes = LAYER.bytes.subarray(0, 100_000)
    registry.behaviour = ({ response }) => {
      const chunks = Array.from(bytes, (byte) => `1\r\n${String.fromCharCode(byte)}\r\n`).join('')
      const head = `HTTP/1.1 200 OK${eol}transfer-encoding: chunked${eol}${eol}`
      response.socket?.write(`${head}${chunks}0\r\n\r\n`, 'latin1')
    }
    const { body } = await startImages(t).open(askBlob(registry), BLOB)
    const pieces: Buffer[] = []

    body.on('data', (piece: Buffer) => pieces.push(piece))
    await once(body, 'end')

    assert.ok(Buffer.concat(pieces).equals(bytes))
    assert.ok(pieces.length < 1_000, `${pieces.length} pieces`)
  })
}

for (const [scheme, readBytes] of [
  ['http', 64 * 1024],
  ['https', 16 * 1024],
] as const) {
  test(`memory that is given back is read into again, and no other: ${scheme}`, async (t) => {
    const bytes = randomBytes(8 * 1024 * 1024)
    const blob = content('application/octet-stream', bytes)
    const registry = await FakeRegistry.start(
      t,
      scheme === 'https' ? { certificate: createCertificate() } : {},
    )
    registry.put('library/app', '1', { ...buildImage(), blobs: [blob] })
    const request = ask(registry, 'library/app', blob.digest)
    const endpoint = { ...request.endpoint, tls: { insecureSkipVerify: true } }
    const { body } = await startImages(t).open({ ...request, endpoint }, BLOB)
    const [copies, kept]: [Buffer[], Buffer[]] = [[], []]
    const memories = new Set<ArrayBufferLike>()

    body.on('data', (piece: Buffer) => {
      copies.push(Buffer.from(piece))
      // Shorter pieces are copies.
      if (piece.buffer.byteLength === readBytes) memories.add(piece.buffer)
      if (copies.length % 50 === 0) kept.push(piece)
      else giveBack(piece)
    })
    await once(body, 'end')

    assert.ok(Buffer.concat(copies).equals(bytes))
    for (const [index, piece] of kept.entries()) {
      assert.ok(copies[index * 50 + 49]?.equals(piece), 'a piece that was not given back')
    }
    assert.ok(memories.size <= kept.length + 12, `${memories.size} of ${copies.length}`)
  })
}

test('memory that a piece shares with the next one is not read into again', async (t) => {
  const registry = await stocked(t)
  const bytes = randomBytes(2 * 1024 * 1024)
  registry.behaviour = ({ response }) => {
    for (let from = 0; from < bytes.length; from += 20_000) {
      response.write(bytes.subarray(from, from + 20_000))
    }
    response.end()
  }
  const { body } = await startImages(t).open(askBlob(registry), BLOB)
  const copies: Buffer[] = []

  body.on('data', (piece: Buffer) => {
    copies.push(Buffer.from(piece))
    giveBack(piece)
    // Meanwhile more is read.
    body.pause()
    setImmediate(() => body.resume())
  })
  await once(body, 'end')

  assert.ok(Buffer.concat(copies).equals(bytes))
})

test('silence before the answer and within it is out of time', async (t) => {
  const within: Behaviour = ({ response }) => {
    response.writeHead(200, { 'content-length': LAYER.bytes.length })
    response.write(LAYER.bytes.subarray(0, 10))
  }
  for (const behaviour of [hang, within]) {
    const registry = await stocked(t)
    registry.behaviour = behaviour
    const images = startImages(t, { attemptTimeoutMs: 1_000 })

    await assert.rejects(read(images, askBlob(registry)), (error: NodeJS.ErrnoException) =>
      /DEADLINE_EXCEEDED|ETIMEDOUT/.test(error.code ?? ''),
    )
  }
})

test('a registry that ends in the middle has broken off', async (t) => {
  const registry = await stocked(t)
  registry.behaviour = ({ response }) => {
    response.writeHead(200, { 'content-length': LAYER.bytes.length })
    response.write(LAYER.bytes.subarray(0, 10), () => response.destroy())
  }

  await assert.rejects(read(startImages(t), askBlob(registry)), { code: 'ECONNRESET' })
})

test('a registry that is not there is UNAVAILABLE at once, at the step of connecting', async (t) => {
  const registry = { url: 'http://127.0.0.1:9' }

  await assert.rejects(read(startImages(t), askBlob(registry)), {
    code: 'UNAVAILABLE',
    step: 'connect',
    message: /ECONNREFUSED/,
  })
})

test("a registry's own authority is trusted for its blobs, and no other certificate is", async (t) => {
  const certificate = createCertificate()
  const registry = await stocked(t, certificate)
  const ca = join(temporaryFolder(t), 'ca.pem')
  writeFileSync(ca, certificate.cert)
  const caFiles = [ca]
  const request = askBlob(registry)

  const trusting = { ...request, endpoint: { ...request.endpoint, tls: { caFiles } } }
  const believing = {
    ...request,
    endpoint: { ...request.endpoint, tls: { insecureSkipVerify: true } },
  }

  for (const each of [trusting, believing]) {
    assert.ok((await read(startImages(t), each)).equals(LAYER.bytes))
  }
  await assert.rejects(read(startImages(t), request), { code: 'UNAVAILABLE', step: 'connect' })
})

for (const [scheme, log] of [
  ['https', `CONNECT ${NAME}:443`],
  ['http', `GET http://${NAME}${PATH}`],
] as const) {
  test(`a blob of an ${scheme} registry comes through its proxy`, async (t) => {
    const registry = await stocked(t, scheme === 'https' ? createCertificate() : undefined)
    const proxy = await startForwardProxy(t, registry.host)
    const options: RegistryClientOptions = { proxy: { http: proxy.url, https: proxy.url } }
    const request = askBlob({ url: `${scheme}://${NAME}` })
    const endpoint = { ...request.endpoint, tls: { insecureSkipVerify: true } }

    const bytes = await read(startImages(t, options), { ...request, endpoint })

    assert.ok(bytes.equals(LAYER.bytes))
    assert.deepEqual(proxy.log, [log])
  })
}

test('a blob is not fetched from loopback that no operator named, by address or by name', async (t) => {
  const registry = await stocked(t)
  const { port } = new URL(registry.url)

  for (const url of [
    registry.url,
    `http://localhost:${port}`,
    `http://[::ffff:127.0.0.1]:${port}`,
  ]) {
    await assert.rejects(read(startImages(t), askBlob({ url }, { configured: false })), {
      code: 'DENIED',
    })
  }
  assert.deepEqual(registry.log(), [])
})

test('a redirect of a blob leads no further than the registry may, and takes no credentials along', async (t) => {
  const storage = await startScriptedRegistry(t, [{ status: 200, body: LAYER.bytes }])
  const seen: (string | undefined)[] = []
  const registry = await stocked(t)
  registry.behaviour = ({ request, response }) => {
    seen.push(request.headers.authorization)
    response.writeHead(307, { location: `${storage.url}/bucket?signature=x` }).end()
  }
  const credentials = { kind: 'registryToken', token: 'own' } as const
  const proxy = await startForwardProxy(t, registry.host)
  const direct = askBlob(registry, { credentials })
  const far = askBlob({ url: `http://${NAME}` }, { credentials })

  const bytes = await read(startImages(t), direct)
  const refused = read(startImages(t, { proxy: { http: proxy.url } }), far)

  await assert.rejects(refused, { code: 'DENIED', message: /leads to a local address/ })
  assert.ok(bytes.equals(LAYER.bytes))
  assert.deepEqual(seen, ['Bearer own', 'Bearer own'])
  assert.equal(storage.requests.length, 1)
  assert.equal(storage.requests[0]?.headers.authorization, undefined)
})

test('a client that is closed ends the bodies that are being read', async (t) => {
  const registry = await stocked(t)
  registry.behaviour = ({ response }) => {
    response.writeHead(200, { 'content-length': LAYER.bytes.length })
    response.write(LAYER.bytes.subarray(0, 10))
  }
  const images = startImages(t)
  const reading = read(images, askBlob(registry))
  reading.catch(() => {})
  while (registry.requests.length === 0) await new Promise(setImmediate)

  await images.close()

  await assert.rejects(reading)
})
