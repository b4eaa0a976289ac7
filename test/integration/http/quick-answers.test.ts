import assert from 'node:assert/strict'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import type { AppOptions } from '../../../src/http/app.ts'
import type { Answers } from '../../../src/http/types.ts'
import type { Answer } from '../../../src/resolver/types.ts'
import { anAnswer, INDEX_DIGEST, NOW, openDoor, WITH_TOKEN } from '../../support/http-door.ts'
import { OpenApi } from '../../support/openapi.ts'

const cached = anAnswer({ source: 'cache', attempts: [] })
const long = anAnswer({
  ...cached,
  references: Array.from({ length: 20 }, (_, index) => ({
    reference: `registry-${index}.corp/library/nginx@${INDEX_DIGEST}`,
    kind: 'digest' as const,
    registry: `registry-${index}.corp`,
    priority: 500,
    verified: true,
  })),
})

interface Got {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

/** What is known at once, and what is asked for; counts both. */
class Known implements Answers {
  quick = 0
  slow = 0
  readonly answered: Answer | undefined

  constructor(answered: Answer | undefined) {
    this.answered = answered
  }

  prepare(): () => Answer | undefined {
    return () => {
      if (this.answered !== undefined) this.quick += 1
      return this.answered
    }
  }

  async answer(): Promise<Answer> {
    this.slow += 1
    return this.answered ?? cached
  }
}

async function open(
  t: TestContext,
  answers: Answers,
  options: Partial<AppOptions> = {},
): Promise<FastifyInstance> {
  const app = await openDoor(t, { answers, ...options })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app
}

function get(app: FastifyInstance, path: string, headers = {}): Promise<Got> {
  const { port } = app.server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path, headers, agent: false })
    asked.once('error', reject)
    asked.once('response', async (response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk)
      const { statusCode: status = 0, headers: given } = response
      resolve({ status, headers: given, body: Buffer.concat(chunks) })
    })
    asked.end()
  })
}

const QUESTION = '/resolve?ref=nginx%3Alatest&platform=linux/arm64'

for (const [what, answer] of [
  ['a short', cached],
  ['a long', long],
] as const) {
  for (const headers of [{}, { 'accept-encoding': 'gzip' }, { 'if-none-match': '*' }]) {
    test(`${what} answer of the cache is the same by the short way, asked with ${JSON.stringify(headers)}`, async (t) => {
      const known = new Known(answer)
      const app = await open(t, known)
      const id = { 'x-request-id': 'one' }

      const quick = await get(app, QUESTION, { ...headers, ...id })
      const slow = await app.inject({ url: QUESTION, headers: { ...headers, ...id } })

      assert.deepEqual([known.quick, known.slow], [1, 1])
      assert.equal(quick.status, slow.statusCode)
      const { date: _, connection: __, 'keep-alive': ___, ...given } = quick.headers
      const { date: _a, connection: _b, ...expected } = slow.headers
      const unzip = (body: Buffer): string =>
        given['content-encoding'] === 'gzip' ? gunzipSync(body).toString() : body.toString()
      assert.deepEqual(given, { ...expected })
      assert.equal(unzip(quick.body), unzip(slow.rawPayload))
    })
  }
}

test('what the short way says is in the document', async (t) => {
  const app = await open(t, new Known(cached))

  const { status, headers, body } = await get(app, QUESTION)

  const told = { method: 'GET', url: QUESTION, status, headers, body: body.toString() }
  assert.deepEqual((await OpenApi.load()).objections(told), [])
})

test('the time that is left goes on, although the answer is kept as it was written', async (t) => {
  let now = NOW
  const app = await open(t, new Known(cached), { now: () => now })

  const first = await get(app, QUESTION)
  now += 10_000
  const later = await get(app, QUESTION)

  assert.equal(first.headers['cache-control'], 'max-age=60')
  assert.equal(later.headers['cache-control'], 'max-age=50')
  assert.equal(later.headers['etag'], first.headers['etag'])
})

const longWay: readonly (readonly [string, string])[] = [
  ['refresh', '/resolve?ref=nginx&refresh=true'],
  ['explain', '/resolve?ref=nginx&explain=true'],
  ['all', '/resolve?ref=nginx&all=true'],
  ['node', '/resolve?ref=nginx&node=true'],
]

for (const [what, url] of longWay) {
  test(`a question with ${what} goes the long way`, async (t) => {
    const known = new Known(cached)
    const app = await open(t, known)

    await get(app, url, WITH_TOKEN)

    assert.deepEqual([known.quick, known.slow], [0, 1])
  })
}

test('what the cache has not goes the long way', async (t) => {
  const known = new Known(undefined)
  const app = await open(t, known)

  const { status } = await get(app, QUESTION)

  assert.deepEqual([status, known.quick, known.slow], [200, 0, 1])
})

for (const query of ['', 'ref=a&ref=b', 'ref=a&reff=b', 'platform=linux/arm64']) {
  test(`/resolve?${query} is refused the long way`, async (t) => {
    const known = new Known(cached)
    const app = await open(t, known)

    const { status } = await get(app, `/resolve?${query}`)

    assert.deepEqual([status, known.quick, known.slow], [400, 0, 0])
  })
}

test('more different questions than are remembered are all answered', async (t) => {
  const known = new Known(cached)
  const app = await open(t, known)

  for (const index of Array(4_100).keys()) {
    app.server.emit('request', ...exchange(`/resolve?ref=image-${index}`))
  }
  const { status } = await get(app, QUESTION)

  assert.equal(status, 200)
  assert.equal(known.quick, 4_101)
})

test('a question that brings a body goes the long way, which lets the body pass by', async (t) => {
  const known = new Known(cached)
  const app = await open(t, known)
  const body = 'x'.repeat(50_000)

  const heard = await talk(t, app, [
    `GET ${QUESTION} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    `GET ${QUESTION} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
  ])

  assert.equal(heard.match(/HTTP\/1\.1 200 OK/g)?.length, 2)
  assert.deepEqual([known.quick, known.slow], [1, 1])
})

test('what is asked in one breath over one connection is answered in turn, whichever way', async (t) => {
  const known = new Known(cached)
  const app = await open(t, known)
  const paths = [QUESTION, '/resolve?ref=b&explain=true', QUESTION, '/livez', QUESTION]
  const last = paths.length - 1

  const heard = await talk(
    t,
    app,
    paths.map((path, at) => {
      const end = at === last ? 'connection: close\r\n' : ''
      return `GET ${path} HTTP/1.1\r\nhost: localhost\r\nx-request-id: ${at}\r\n${end}\r\n`
    }),
  )

  const ids = [...heard.matchAll(/^x-request-id: (\d)\r$/gm)].map(([, id]) => Number(id))
  assert.deepEqual(ids, [...paths.keys()])
})

test('a question that the cache cannot answer counts once for the limit of requests', async (t) => {
  const app = await open(t, new Known(undefined), { access: { rateLimit: 2 } })

  const statuses = []
  for (let count = 0; count < 3; count += 1) {
    statuses.push((await get(app, '/resolve?ref=nginx')).status)
  }

  assert.deepEqual(statuses, [200, 200, 429])
})

test('the limit of requests holds for the short way too', async (t) => {
  const app = await open(t, new Known(cached), { access: { rateLimit: 2 } })

  const statuses = [await get(app, QUESTION), await get(app, QUESTION), await get(app, QUESTION)]

  assert.deepEqual(
    statuses.map(({ status }) => status),
    [200, 200, 429],
  )
})

/** Sends all at once, and gives what comes until the other side ends. */
async function talk(t: TestContext, app: FastifyInstance, requests: readonly string[]) {
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write(requests.join(''))
  return text(socket)
}

/** As much of a request and a response as the short way looks at. */
function exchange(url: string): unknown[] {
  const same = () => response
  const response = { on: same, setTimeout: same, writeHead: same, end: same }
  return [
    { url, method: 'GET', headers: {}, rawHeaders: [], socket: {}, read: () => null },
    response,
  ]
}
