import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import type { Exchange } from '../../../src/registry/image.ts'
import { endless, FakeRegistry, hang } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE = buildImage()
const BLOB = { method: 'GET', kind: 'blobs' } as const
const USER = { kind: 'basic', username: 'user', password: 'pass' } as const

async function bytesOf(body: Readable): Promise<Buffer> {
  return Buffer.concat(await body.toArray())
}

test('a blob comes as it is, with a token of its repository', async (t) => {
  const tokens = await startTokenServer(t)
  const registry = await FakeRegistry.start(t, { auth: { kind: 'bearer', ...tokens } })
  registry.put('library/app', '1', IMAGE)

  const request = ask(registry, 'library/app', IMAGE.imageId)
  const { status, headers, body } = await startImages(t).open(request, BLOB)

  assert.equal(status, 200)
  assert.equal(headers['docker-content-digest'], IMAGE.imageId)
  assert.deepEqual(await bytesOf(body), IMAGE.blobs[0]?.bytes)
  assert.equal(tokens.questions[0]?.params['scope'], 'repository:library/app:pull')
})

test('the range of a blob is asked for, also where the registry redirects, without credentials there', async (t) => {
  const part = { status: 206, headers: { 'content-range': 'bytes 0-2/9' }, body: 'abc' }
  const target = await startScriptedRegistry(t, [part])
  const registry = await startScriptedRegistry(t, [
    { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    { status: 307, headers: { location: `${target.url}/storage?signature=abc` } },
  ])
  const request = ask(registry, 'library/app', IMAGE.imageId, { credentials: USER })

  const { status, headers, body } = await startImages(t).open(request, {
    ...BLOB,
    range: 'bytes=0-2',
  })

  assert.deepEqual([status, headers['content-range']], [206, 'bytes 0-2/9'])
  assert.equal((await bytesOf(body)).toString(), 'abc')
  assert.equal(target.requests[0]?.headers.range, 'bytes=0-2')
  assert.equal(target.requests[0]?.headers.authorization, undefined)
})

test('a manifest is asked for as what it may be, or as the caller wants it', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')

  const head = await images.open(request, { method: 'HEAD', kind: 'manifests' })
  const own = await images.open(request, { method: 'GET', kind: 'manifests', accept: 'text/plain' })

  assert.equal(head.headers['content-length'], String(IMAGE.bytes.length))
  assert.equal((await bytesOf(head.body)).length, 0)
  assert.deepEqual(await bytesOf(own.body), IMAGE.bytes)
  const [first, second] = registry.requests.map(({ headers }) => headers.accept)
  assert.match(first ?? '', /oci\.image\.index.*docker\.distribution\.manifest/)
  assert.equal(second, 'text/plain')
})

test('what is not there is an answer like any other', async (t) => {
  const registry = await FakeRegistry.start(t)

  const { status, body } = await startImages(t).open(ask(registry, 'a', IMAGE.digest), BLOB)

  assert.equal(status, 404)
  assert.match((await bytesOf(body)).toString(), /MANIFEST_UNKNOWN/)
})

test('a body without an end is not gathered, and ends with its caller', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.behaviour = endless
  const closed = new Promise<void>((resolve) => {
    registry.behaviour = (exchange) => {
      exchange.request.socket.once('close', () => resolve())
      endless(exchange)
    }
  })
  const caller = new AbortController()
  const request = ask(registry, 'a', IMAGE.digest, { signal: caller.signal })
  const { body } = await startImages(t).open(request, BLOB)
  await once(body, 'readable')

  caller.abort()

  await assert.rejects(bytesOf(body), { code: 'CANCELED' })
  await closed
})

test('a body goes on beyond the limit that its head had', async (t) => {
  const registry = await FakeRegistry.start(t)
  let answer = () => {}
  registry.behaviour = ({ response }) => {
    response.writeHead(200).write('first ')
    answer = () => void response.end('last')
  }
  const images = startImages(t, { attemptTimeoutMs: 3_000 })
  const { body } = await images.open(ask(registry, 'a', IMAGE.digest), BLOB)
  // The limit passes for another question meanwhile.
  const silent = await FakeRegistry.start(t)
  silent.behaviour = hang
  const late = images.open(ask(silent, 'a', IMAGE.digest), BLOB)
  body.on('error', () => {})
  const alive = new Promise<boolean>((resolve) => {
    body.once('close', () => resolve(false))
    late.catch(() => setImmediate(() => resolve(!body.destroyed)))
  })

  await assert.rejects(late, { code: 'DEADLINE_EXCEEDED', message: /no answer within 3000 ms/ })
  assert.ok(await alive)
  answer()
})

test('bodies that are being read hold up no other request, and none is reported before its end', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const images = startImages(t, { maxConcurrent: 1 })
  const heard: Exchange[] = []
  const request = ask(registry, 'library/app', IMAGE.imageId, {
    observe: (exchange) => heard.push(exchange),
  })
  const { body } = await images.open(request, BLOB)

  await images.image(ask(registry, 'library/app', '1'), AMD64)

  assert.equal(heard.length, 0)
  const closed = once(body, 'close')
  await bytesOf(body)
  await closed
  assert.deepEqual(
    heard.map(({ status }) => status),
    [200],
  )
})
