import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  type ClientRequest,
  get as getPlain,
  type IncomingMessage,
  request as send,
} from 'node:http'
import { test } from 'node:test'
import {
  type Behaviour,
  endless,
  FakeRegistry,
  hang,
  refuseWith,
  serve,
  wrongBytes,
} from '../../support/fake-registry.ts'
import { buildImage, content, descriptor, OCI_MANIFEST } from '../../support/images.ts'
import { type MirrorReply, place, startMirror } from '../../support/mirror.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import type { Cleanup } from '../../support/stack.ts'

/** More than any buffer on the way holds. */
const LARGE = content('application/octet-stream', Buffer.alloc(6 * 1024 * 1024, 'layer-'))
const IMAGE = { ...buildImage({ seed: 'blobs' }), blobs: [LARGE] }
const PATH = `/v2/library/app/blobs/${LARGE.digest}`
/** Says how large it is. */
const MANIFEST = content(OCI_MANIFEST, { schemaVersion: 2, layers: [descriptor(LARGE)] })
const MANIFEST_PATH = `/v2/library/app/manifests/${MANIFEST.digest}`

function codeOf({ body }: MirrorReply): string {
  return JSON.parse(body.toString()).errors[0].code
}

/** As real registries do it. */
const ranges: Behaviour = (exchange) => {
  const { request, response, found } = exchange
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  if (found === undefined || from === undefined) return serve(exchange)
  const size = found.bytes.length
  const begin = from === '' ? size - Number(to) : Number(from)
  if (begin >= size) {
    return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end()
  }
  const end = from === '' || to === '' ? size - 1 : Number(to)
  const part = found.bytes.subarray(begin, end + 1)
  response.writeHead(206, {
    'content-length': part.length,
    'content-range': `bytes ${begin}-${end}/${size}`,
  })
  response.end(part)
}

/** Dies after the first half, on whole requests alone. */
const dyingHalfway: Behaviour = ({ response, found }) => {
  const { bytes = Buffer.alloc(0) } = found ?? {}
  response.writeHead(200, { 'content-length': bytes.length })
  response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
}

async function stocked(t: Cleanup, behaviour: Behaviour = ranges): Promise<FakeRegistry> {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  registry.putManifest('library/app', MANIFEST.digest, MANIFEST)
  registry.behaviour = behaviour
  return registry
}

test('a blob comes whole, with what a client has to know of it', async (t) => {
  const registry = await stocked(t)
  const mirror = await startMirror(t, [place(registry)])

  const got = await mirror.get(PATH)
  const head = await mirror.ask('HEAD', PATH)

  assert.ok(got.body.equals(LARGE.bytes))
  assert.ok(got.complete)
  assert.deepEqual([head.status, head.body.length], [200, 0])
  for (const { headers } of [got, head]) {
    assert.equal(headers['content-length'], String(LARGE.bytes.length))
    assert.equal(headers['docker-content-digest'], LARGE.digest)
    assert.equal(headers['accept-ranges'], 'bytes')
    assert.equal(headers['content-type'], 'application/octet-stream')
  }
  assert.deepEqual(registry.log(), [`GET ${PATH}`, `HEAD ${PATH}`])
})

test('a part of a blob comes as such', async (t) => {
  const mirror = await startMirror(t, [place(await stocked(t))])

  const reply = await mirror.get(PATH, { range: 'bytes=6-16' })

  assert.equal(reply.status, 206)
  assert.equal(reply.body.toString(), 'layer-layer')
  assert.equal(reply.headers['content-range'], `bytes 6-16/${LARGE.bytes.length}`)
  assert.equal(reply.headers['content-length'], '11')
})

test('a part that the blob does not have is refused as the registry does', async (t) => {
  const mirror = await startMirror(t, [place(await stocked(t))])
  const size = LARGE.bytes.length

  const reply = await mirror.get(PATH, { range: `bytes=${size}-` })

  assert.equal(reply.status, 416)
  assert.equal(reply.headers['content-range'], `bytes */${size}`)
})

test('a registry without ranges gives the whole, and wishes that are none are passed over', async (t) => {
  const registry = await stocked(t, serve)
  const mirror = await startMirror(t, [place(registry)])

  for (const range of ['bytes=6-16', 'bytes=0-1,3-4', 'lines=1-2']) {
    const reply = await mirror.get(PATH, { range })

    assert.equal(reply.status, 200)
    assert.ok(reply.body.equals(LARGE.bytes))
  }
  assert.equal(registry.requests[1]?.headers.range, undefined)
})

const SIZE = LARGE.bytes.length
const PART = LARGE.bytes.subarray(6, 17)
const IDENTITY = { 'content-encoding': 'identity' }

interface Answer {
  readonly why: string
  readonly range?: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** What the message says of it. */
  readonly says: RegExp
}

const at = (range: string): Answer['headers'] => ({ 'content-range': range })

/** Asked for `bytes=6-16` where `range` says nothing else. */
const WRONG_PARTS: readonly Answer[] = [
  { why: 'without Content-Range', headers: {}, says: /without a Content-Range/ },
  { why: 'of another unit', headers: at('lines 6-16/99'), says: /Content-Range lines 6-16\/99/ },
  { why: 'at another place', headers: at(`bytes 0-10/${SIZE}`), says: /bytes 0-10/ },
  { why: 'longer than was asked', headers: at(`bytes 6-17/${SIZE}`), says: /bytes 6-17/ },
  { why: 'shorter than was asked', headers: at(`bytes 6-15/${SIZE}`), says: /bytes 6-15/ },
  { why: 'that ends before it begins', headers: at('bytes 6-5/*'), says: /bytes 6-5/ },
  { why: 'behind the end', headers: at('bytes 6-16/16'), says: /bytes 6-16\/16/ },
  { why: 'of another blob', headers: at('bytes 6-16/17'), says: /has 6291456 bytes/ },
  {
    why: 'that stops before the end',
    range: 'bytes=6-',
    headers: at(`bytes 6-16/${SIZE}`),
    says: /bytes 6-16/,
  },
  {
    why: 'that is not the last bytes',
    range: 'bytes=-11',
    headers: at(`bytes 6-16/${SIZE}`),
    says: /bytes 6-16/,
  },
  {
    why: 'in several parts',
    headers: { 'content-type': 'multipart/byteranges; boundary=x', ...at(`bytes 6-16/${SIZE}`) },
    says: /multipart\/byteranges/,
  },
  {
    why: 'that is compressed',
    headers: { 'content-encoding': 'gzip', ...at(`bytes 6-16/${SIZE}`) },
    says: /Content-Encoding gzip/,
  },
  {
    why: 'with another length',
    headers: { 'content-length': '9', ...at(`bytes 6-16/${SIZE}`) },
    body: PART.subarray(0, 9),
    says: /Content-Length 9/,
  },
]

for (const { why, range = 'bytes=6-16', headers, body = PART, says } of WRONG_PARTS) {
  test(`a part ${why} is not handed on: the next registry is asked, else the answer is a 502`, async (t) => {
    const first = await stocked(t, (exchange) => {
      if (exchange.request.headers.range === undefined) return serve(exchange)
      exchange.response.writeHead(206, headers).end(body)
    })
    const second = await stocked(t)
    const alone = await startMirror(t, [place(first)])
    const both = await startMirror(t, [place(first, { priority: 900 }), place(second)])
    for (const mirror of [alone, both]) await mirror.get(MANIFEST_PATH)

    const refused = await alone.get(PATH, { range })
    const served = await both.get(PATH, { range })

    assert.deepEqual([refused.status, codeOf(refused)], [502, 'DIGEST_INVALID'])
    assert.match(refused.body.toString(), says)
    assert.ok(refused.body.includes(first.host))
    assert.equal(served.status, 206)
    assert.equal(alone.health.report(first.host).state, 'closed')
  })
}

test('a part of unknown whole, of the last bytes, or without encoding is handed on', async (t) => {
  const last = LARGE.bytes.subarray(-11)
  for (const [range, headers, body] of [
    ['bytes=6-16', at('bytes 6-16/*'), PART],
    ['bytes=6-16', { ...IDENTITY, ...at(`Bytes 6-16/${SIZE}`) }, PART],
    ['bytes=-11', at(`bytes ${SIZE - 11}-${SIZE - 1}/${SIZE}`), last],
    [`bytes=${SIZE - 11}-${SIZE + 5}`, at(`bytes ${SIZE - 11}-${SIZE - 1}/${SIZE}`), last],
  ] as const) {
    const registry = await stocked(
      t,
      ({ response }) => void response.writeHead(206, headers).end(body),
    )
    const mirror = await startMirror(t, [place(registry)])

    const reply = await mirror.get(PATH, { range })

    assert.equal(reply.status, 206, range)
    assert.ok(reply.complete && reply.body.equals(body))
    assert.equal(reply.headers['content-length'], '11')
  }
})

test('a part that has fewer or more bytes than its Content-Range is never a whole answer', async (t) => {
  for (const length of [6, 10, 12, 400_000]) {
    const registry = await stocked(t, ({ response }) => {
      response.writeHead(206, { 'content-range': `bytes 6-16/${SIZE}` })
      response.write(LARGE.bytes.subarray(6, 6 + 5))
      response.end(LARGE.bytes.subarray(6 + 5, 6 + length))
    })
    const mirror = await startMirror(t, [place(registry)])

    const reply = await mirror.get(PATH, { range: 'bytes=6-16' })

    assert.ok(reply.status === 502 || !reply.complete, `${length}: ${reply.status}`)
    assert.ok(reply.status === 502 || reply.body.length < 11)
  }
})

test('a registry that has no such part of a blob, although the blob is long enough, is not believed', async (t) => {
  const first = await stocked(t, (exchange) => {
    if (exchange.request.headers.range === undefined) return serve(exchange)
    exchange.response.writeHead(416, { 'content-range': 'bytes */5' }).end()
  })
  const second = await stocked(t)
  const mirror = await startMirror(t, [place(first, { priority: 900 }), place(second)])
  await mirror.get(MANIFEST_PATH)

  const reply = await mirror.get(PATH, { range: 'bytes=6-16' })

  assert.equal(reply.status, 206)
  assert.ok(reply.body.equals(PART))
})

test('the storage that a registry redirects to is asked here, without its credentials', async (t) => {
  const { bytes, digest } = content('application/octet-stream', Buffer.from('stored elsewhere'))
  const storage = await startScriptedRegistry(t, [{ status: 200, body: bytes }])
  const location = `${storage.url}/bucket?signature=abc`
  const registry = await startScriptedRegistry(t, [
    { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    { status: 307, headers: { location } },
  ])
  const credentials = { kind: 'basic', username: 'node', password: 'own' } as const
  const mirror = await startMirror(t, [place(registry, { credentials })])

  const reply = await mirror.get(`/v2/library/app/blobs/${digest}`)

  assert.equal(reply.body.toString(), 'stored elsewhere')
  assert.match(registry.requests[1]?.headers.authorization ?? '', /^Basic /)
  assert.equal(storage.requests[0]?.headers.authorization, undefined)
})

test('no header of a client reaches a registry but one range', async (t) => {
  const registry = await stocked(t)
  const mirror = await startMirror(t, [place(registry)])
  const headers = {
    authorization: 'Basic c2VjcmV0',
    cookie: 'session=1',
    'proxy-authorization': 'Basic c2VjcmV0',
    'x-forwarded-for': '192.0.2.1',
    'x-anything': 'x',
    'accept-encoding': 'gzip',
    accept: 'text/html',
    connection: 'close, range',
    range: 'bytes=6-16',
  }

  const { status } = await mirror.get(PATH, headers)

  assert.equal(status, 206)
  const { host, ...sent } = registry.requests[0]?.headers ?? {}
  assert.deepEqual(sent, {
    accept: '*/*',
    connection: 'keep-alive',
    range: 'bytes=6-16',
    'user-agent': 'image-resolver',
  })
})

test('what nobody has is unknown, in the words of registries', async (t) => {
  const registry = await FakeRegistry.start(t)
  const mirror = await startMirror(t, [place(registry)])

  const reply = await mirror.get(PATH)

  assert.deepEqual([reply.status, codeOf(reply)], [404, 'BLOB_UNKNOWN'])
})

test('the next registry is asked when one has nothing, is broken, or does not answer', async (t) => {
  const second = await stocked(t)

  for (const behaviour of [refuseWith(404), refuseWith(503), refuseWith(429), hang]) {
    const first = await stocked(t, behaviour)
    const entries = [place(first, { priority: 900 }), place(second)]
    const limits = behaviour === hang ? { probeBudgetMs: 200 } : {}
    const mirror = await startMirror(t, entries, { limits })

    const reply = await mirror.get(PATH)

    assert.ok(reply.body.equals(LARGE.bytes))
    const asked = first.requests.length
    // A busy machine may give a silent one up before the request has got there.
    assert.ok(asked === 1 || (asked === 0 && behaviour === hang), `asked ${asked} times`)
  }
})

test('a blob is asked of the registry that served its manifest', async (t) => {
  const empty = await FakeRegistry.start(t)
  const registry = await stocked(t)
  const mirror = await startMirror(t, [place(empty, { priority: 900 }), place(registry)])
  await mirror.get(`/v2/library/app/manifests/${IMAGE.digest}`)
  const asked = empty.requests.length

  await mirror.get(PATH)

  assert.ok(asked > 0)
  assert.equal(empty.requests.length, asked)
})

test('a registry that dies in a blob fails the request at once, and the next try meets the next one', async (t) => {
  const first = await stocked(t, dyingHalfway)
  const second = await stocked(t)
  const mirror = await startMirror(t, [place(first, { priority: 900 }), place(second)])

  const broken = await mirror.get(PATH)
  const rest = await mirror.get(PATH, { range: `bytes=${broken.body.length}-` })

  assert.equal(broken.status, 200)
  assert.equal(broken.complete, false)
  assert.ok(broken.body.length > 0)
  assert.equal(rest.status, 206)
  assert.ok(Buffer.concat([broken.body, rest.body]).equals(LARGE.bytes))
  assert.equal(first.requests.length, 1)
  assert.ok(mirror.health.isResting(first.host, 'library/app'))
})

test('wrong bytes are never a whole answer, and are asked for elsewhere the next time', async (t) => {
  const small = content('application/octet-stream', Buffer.from('a small blob'))
  for (const blob of [LARGE, small]) {
    const [first, second] = [await FakeRegistry.start(t), await FakeRegistry.start(t)]
    for (const each of [first, second]) each.putManifest('library/app', blob.digest, blob)
    first.behaviour = wrongBytes
    const mirror = await startMirror(t, [place(first, { priority: 900 }), place(second)])
    const path = `/v2/library/app/blobs/${blob.digest}`

    const wrong = await mirror.get(path)
    const right = await mirror.get(path)

    assert.ok(wrong.status === 502 || !wrong.complete, `${wrong.status}`)
    assert.ok(right.complete && right.body.equals(blob.bytes))
    assert.equal(mirror.health.report(first.host).state, 'closed')
  }
})

test('a client that leaves ends the request to the registry, which is not blamed', async (t) => {
  const registry = await stocked(t)
  const gone = new Promise<void>((resolve) => {
    registry.behaviour = (exchange) => {
      exchange.request.socket.once('close', () => resolve())
      endless(exchange)
    }
  })
  const mirror = await startMirror(t, [place(registry)])

  const client = send(`${mirror.url}${PATH}`)
  client.on('error', () => {})
  client.end()
  const [response] = (await once(client, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  await once(response, 'readable')
  client.destroy()

  await gone
  assert.equal(mirror.health.report(registry.host).state, 'closed')
})

test('a blob is the same to a client that reads it late, when others came and left meanwhile', async (t) => {
  // More than the sockets on the way hold.
  const [late, other] = [1, 2].map(() =>
    content('application/octet-stream', randomBytes(16 * 1024 * 1024)),
  ) as [typeof LARGE, typeof LARGE]
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', { ...buildImage(), blobs: [late, other] })
  const mirror = await startMirror(t, [place(registry)])
  const pathOf = ({ digest }: typeof LARGE) => `/v2/library/app/blobs/${digest}`
  const ask = async (blob: typeof LARGE): Promise<IncomingMessage> => {
    const client = getPlain(`${mirror.url}${pathOf(blob)}`, { agent: false })
    const [response] = await once(client, 'response')
    return response
  }

  const waiting = await ask(late)
  const leaving = await ask(late)
  await once(
    leaving.on('error', () => {}),
    'readable',
  )
  leaving.destroy()
  const whole = await mirror.get(pathOf(other))
  const pieces: Buffer[] = []
  for await (const piece of waiting) pieces.push(piece)

  assert.ok(whole.body.equals(other.bytes))
  assert.ok(Buffer.concat(pieces).equals(late.bytes))
})

test('a client that does not read holds the registry back, and is cut off in the end', async (t) => {
  let sent = 0
  const registry = await stocked(t)
  const cut = new Promise<void>((resolve) => {
    registry.behaviour = (exchange) => {
      exchange.request.socket.once('close', () => {
        sent = exchange.request.socket.bytesWritten
        resolve()
      })
      endless(exchange)
    }
  })
  const mirror = await startMirror(t, [place(registry)], { limits: { silenceMs: 300 } })

  const client = send(`${mirror.url}${PATH}`)
  client.on('error', () => {})
  client.end()
  const [response] = (await once(client, 'response')) as [IncomingMessage]
  response.on('error', () => {})

  await cut
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes`)
  assert.equal(mirror.health.report(registry.host).state, 'closed')
})

test('so many blobs go at once, and the others wait for their turn', async (t) => {
  const registry = await stocked(t)
  let waiting: (() => void)[] = []
  let most = 0
  let arrived = () => {}
  registry.behaviour = (exchange) => {
    waiting.push(() => ranges(exchange))
    most = Math.max(most, waiting.length)
    arrived()
  }
  const mirror = await startMirror(t, [place(registry)], { limits: { blobs: 2 } })

  const replies = Promise.all([1, 2, 3, 4, 5].map(() => mirror.get(PATH)))
  for (let served = 0; served < 5; served += 1) {
    if (waiting.length === 0) await new Promise<void>((resolve) => (arrived = resolve))
    const [next, ...others] = waiting
    waiting = others
    next?.()
  }

  assert.ok((await replies).every(({ complete }) => complete))
  assert.ok(most <= 2)
})

for (const status of [401, 403, 404, 405, 501]) {
  test(`a HEAD that is refused with ${status} takes one GET, which says whether the blob is there`, async (t) => {
    const registry = await stocked(t, (exchange) => {
      if (exchange.request.method === 'HEAD') refuseWith(status)(exchange)
      else serve(exchange)
    })
    const mirror = await startMirror(t, [place(registry)])

    const head = await mirror.ask('HEAD', PATH)
    const missing = await mirror.ask('HEAD', `/v2/library/app/blobs/sha256:${'0'.repeat(64)}`)

    assert.deepEqual([head.status, head.body.length], [200, 0])
    assert.equal(head.headers['content-length'], String(LARGE.bytes.length))
    assert.equal(missing.status, 404)
    const asked = registry.log().filter((each) => each.endsWith(PATH))
    assert.deepEqual(asked, [`HEAD ${PATH}`, `GET ${PATH}`])
  })
}

test('a HEAD is of the whole blob, whatever `Range` says, where HEAD is refused too', async (t) => {
  const asked: (string | undefined)[] = []
  const registry = await stocked(t, (exchange) => {
    asked.push(exchange.request.headers.range)
    if (exchange.request.method === 'HEAD') refuseWith(403)(exchange)
    else ranges(exchange)
  })
  const mirror = await startMirror(t, [place(registry)])

  const head = await mirror.ask('HEAD', PATH, { range: 'bytes=1-' })

  assert.equal(head.status, 200)
  assert.equal(head.headers['content-length'], String(LARGE.bytes.length))
  assert.equal(head.headers['content-range'], undefined)
  assert.deepEqual(asked, [undefined, undefined])
})

test('a blob that gets no slot in time is a 503 that says when to come again', async (t) => {
  const registry = await stocked(t)
  const asked = new Promise<void>((resolve) => {
    registry.behaviour = () => resolve()
  })
  const limits = { blobs: 1, blobWaitMs: 50 }
  const mirror = await startMirror(t, [place(registry)], { limits })
  const { hostname, port } = new URL(mirror.url)
  const first = getPlain({ hostname, port, path: PATH, agent: false }).on('error', () => {})
  t.after(() => first.destroy())
  await asked

  const reply = await mirror.get(PATH)

  assert.equal(reply.status, 503)
  assert.equal(reply.headers['retry-after'], '10')
  assert.equal(codeOf(reply), 'UNAVAILABLE')
  assert.equal(registry.requests.length, 1)
})

test('a client that reads nothing leaves room for others', { timeout: 60_000 }, async (t) => {
  const registry = await stocked(t)
  let asked = 0
  registry.behaviour = (exchange) => {
    asked += 1
    if (asked > 2) ranges(exchange)
  }
  const limits = { blobs: 3, blobsPerClient: 2 }
  const mirror = await startMirror(t, [place(registry)], { limits })
  const { hostname, port } = new URL(mirror.url)
  const from = (localAddress: string): ClientRequest => {
    const request = getPlain({ hostname, port, path: PATH, localAddress, agent: false })
    t.after(() => request.destroy())
    return request.on('error', () => {})
  }
  for (let count = 0; count < 10; count += 1) from('127.0.0.1')
  while (asked < 2) await new Promise(setImmediate)

  const [answer] = (await once(from('127.0.0.2'), 'response')) as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')

  assert.equal(answer.statusCode, 200)
  assert.equal(asked, 3)
})

test('no browser runs what a registry calls a page: it would run beside the API', async (t) => {
  const html: Behaviour = ({ response, found }) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(found?.bytes)
  }
  const mirror = await startMirror(t, [place(await stocked(t, html))])

  for (const path of [PATH, `/v2/library/app/manifests/${IMAGE.digest}`, '/v2/nope']) {
    const { headers } = await mirror.get(path)

    assert.equal(headers['content-security-policy'], "default-src 'none'; sandbox", path)
    assert.equal(headers['x-content-type-options'], 'nosniff', path)
  }
})
