import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credentials } from '../../../src/registry/credentials.ts'
import { buildImage, OCI_MANIFEST } from '../../support/images.ts'
import { startRawServer } from '../../support/listen.ts'
import { place, startMirror } from '../../support/mirror.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import type { Cleanup } from '../../support/stack.ts'

const IMAGE = buildImage({ seed: 'bent' })
const BODY = IMAGE.bytes.toString('latin1')
const TYPE = `Content-Type: ${OCI_MANIFEST}`
const LENGTH = `Content-Length: ${BODY.length}`
const CHUNKED = 'Transfer-Encoding: chunked'
const SIZE = BODY.length.toString(16)

/** Says these very bytes to each request, and tells on which connection it came. */
async function startRaw(t: Cleanup, answer: (nth: number, head: string) => string | Buffer) {
  const asked: { readonly connection: number; readonly head: string }[] = []
  let connections = 0
  const { url } = await startRawServer(t, (socket) => {
    connections += 1
    const connection = connections
    socket.on('data', (data) => {
      const head = data.toString()
      asked.push({ connection, head })
      socket.write(answer(asked.length, head))
    })
  })
  return { asked, url }
}

function lines(...all: readonly string[]): Buffer {
  return Buffer.from(`${all.join('\r\n')}\r\n\r\n${BODY}`, 'latin1')
}

function chunks(...all: readonly string[]): Buffer {
  return Buffer.from(`${all.join('\r\n')}\r\n\r\n${SIZE}\r\n${BODY}\r\n0\r\n\r\n`, 'latin1')
}

const FORGIVEN: readonly [name: string, answer: Buffer][] = [
  [
    'lines that end in LF alone',
    Buffer.from(`HTTP/1.1 200 OK\n${TYPE}\n${LENGTH}\n\n${BODY}`, 'latin1'),
  ],
  ['a header that is folded', lines('HTTP/1.1 200 OK', 'X-A: a\r\n b', TYPE, LENGTH)],
  ['Content-Length before chunks', chunks('HTTP/1.1 200 OK', TYPE, 'Content-Length: 2', CHUNKED)],
  ['Content-Length behind chunked', chunks('HTTP/1.1 200 OK', TYPE, CHUNKED, 'Content-Length: 2')],
  ['HTTP/1.2', lines('HTTP/1.2 200 OK', TYPE, LENGTH)],
]

for (const [name, answer] of FORGIVEN) {
  test(`an answer with ${name} is read, on a connection that is not used again`, async (t) => {
    const registry = await startRaw(t, () => answer)
    const images = startImages(t)
    const request = ask(registry, 'library/app', '1')

    const first = await images.image(request, AMD64)
    const second = await images.image(request, AMD64)

    assert.deepEqual([first.imageId, second.imageId], [IMAGE.imageId, IMAGE.imageId])
    // Strictly once, leniently from then on, each time anew.
    assert.deepEqual(
      registry.asked.map(({ connection }) => connection),
      [1, 2, 3],
    )
    assert.ok(registry.asked.slice(1).every(({ head }) => /^connection: close\r$/im.test(head)))
  })
}

test('blanks behind the size of a chunk fail the first answer, and are read over in the next', async (t) => {
  const head = `HTTP/1.1 200 OK\r\n${TYPE}\r\n${CHUNKED}\r\n\r\n`
  const answer = `${head}${SIZE}  \r\n${BODY}\r\n0\r\n\r\n`
  const registry = await startRaw(t, () => Buffer.from(answer, 'latin1'))
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')

  await assert.rejects(images.image(request, AMD64), { code: 'UNAVAILABLE' })

  assert.equal((await images.image(request, AMD64)).imageId, IMAGE.imageId)
})

test('what follows a lenient answer is never taken for the answer to another question', async (t) => {
  const other = buildImage({ seed: 'smuggled' })
  const smuggled = `HTTP/1.1 200 OK\r\n${TYPE}\r\nContent-Length: ${other.bytes.length}\r\n\r\n${other.bytes}`
  const bent = lines('HTTP/1.1 200 OK', 'X-A: a\r\n b', TYPE, LENGTH)
  const registry = await startRaw(t, () => Buffer.concat([bent, Buffer.from(smuggled, 'latin1')]))
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')

  const found = await Promise.allSettled([1, 2, 3].map(() => images.image(request, AMD64)))

  for (const each of found) {
    if (each.status === 'fulfilled') assert.equal(each.value.imageId, IMAGE.imageId)
  }
})

test('a length that contradicts the chunks of a response is not passed on', async (t) => {
  const answer = chunks('HTTP/1.1 200 OK', TYPE, 'Content-Length: 2', CHUNKED)
  const registry = await startRaw(t, () => answer)
  const mirror = await startMirror(t, [place(registry)])

  const { status, headers, body, complete } = await mirror.get(
    `/v2/library/app/blobs/${IMAGE.digest}`,
  )

  assert.deepEqual([status, headers['content-length'], complete], [200, undefined, true])
  assert.ok(body.equals(IMAGE.bytes))
})

test('headers of 200 KiB are read, and the digest behind ten thousand others is seen', async (t) => {
  const many = Array.from({ length: 10_000 }, (_, at) => `X-${at}: aaaa`)
  const digest = `Docker-Content-Digest: ${IMAGE.digest}`
  const registry = await startRaw(t, () =>
    Buffer.from(['HTTP/1.1 200 OK', TYPE, LENGTH, ...many, digest, '', ''].join('\r\n'), 'latin1'),
  )

  const { digest: found } = await startImages(t).digest(ask(registry, 'library/app', '1'))

  assert.equal(found, IMAGE.digest)
  assert.equal(registry.asked.length, 1)
})

const REFUSED: readonly [name: string, answer: string | Buffer, message: RegExp][] = [
  [
    'headers without an end',
    lines('HTTP/1.1 200 OK', `X-A: ${'a'.repeat(300 * 1024)}`, TYPE, LENGTH),
    /its answer has headers of more than 256 KiB/,
  ],
  [
    'the same Content-Length twice',
    lines('HTTP/1.1 200 OK', TYPE, LENGTH, LENGTH),
    /its answer has Content-Length twice/,
  ],
  [
    'two Content-Lengths',
    lines('HTTP/1.1 200 OK', TYPE, LENGTH, 'Content-Length: 3'),
    /its answer has Content-Length twice/,
  ],
  ['a length that is none', lines('HTTP/1.1 200 OK', TYPE, 'Content-Length: +3'), /is no HTTP: /],
  ['a header without a name', lines('HTTP/1.1 200 OK', ': x', TYPE, LENGTH), /is no HTTP: /],
  [
    'the greeting of another protocol',
    'SSH-2.0-OpenSSH_9\r\n',
    /is no HTTP\/1\.1; if it speaks TLS/,
  ],
  ['a TLS alert', Buffer.from('15030100020250', 'hex'), /if it speaks TLS, write https:\/\//],
]

for (const [name, answer, message] of REFUSED) {
  test(`an answer with ${name} is refused, and the error names it`, async (t) => {
    const registry = await startRaw(t, () => answer)

    await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), {
      code: 'UNAVAILABLE',
      message,
    })
    assert.ok(registry.asked.length <= 2)
  })
}

test('a form with a secret in it is not sent twice for a mistake in its answer', async (t) => {
  const tokens = await startRaw(t, () => lines('HTTP/1.2 200 OK', 'Content-Length: 2'))
  const header = `WWW-Authenticate: Bearer realm="${tokens.url}/token"`
  const registry = await startRaw(t, () =>
    ['HTTP/1.1 401 Unauthorized', header, 'Content-Length: 0', '', ''].join('\r\n'),
  )
  const credentials: Credentials = { kind: 'identityToken', token: 'secret' }
  const request = ask(registry, 'library/app', '1', { credentials })

  await assert.rejects(startImages(t).image(request, AMD64), { code: 'UNAVAILABLE', step: 'token' })
  assert.equal(tokens.asked.length, 1)
})
