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
import { anAnswer, INDEX_DIGEST, NOW, openApp, WITH_TOKEN } from '../../support/http-app.ts'
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
  known = 0
  asked = 0
  prepared = 0
  readonly answered: Answer | undefined

  constructor(answered: Answer | undefined) {
    this.answered = answered
  }

  prepare(): () => Answer | undefined {
    this.prepared += 1
    return () => {
      if (this.answered !== undefined) this.known += 1
      return this.answered
    }
  }

  async answer(): Promise<Answer> {
    this.asked += 1
    return this.answered ?? cached
  }
}

async function open(
  t: TestContext,
  answers: Answers,
  options: Partial<AppOptions> = {},
): Promise<FastifyInstance> {
  const app = await openApp(t, { answers, ...options })
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
    test(`${what} answer that is known at once is the same as one that is asked for, with ${JSON.stringify(headers)}`, async (t) => {
      const known = new Known(answer)
      const unprepared = { answer: () => known.answer() }
      const id = { 'x-request-id': 'one' }
      const sent = { ...headers, ...id }

      const quick = await get(await open(t, known), QUESTION, sent)
      const again = await get(await open(t, known), QUESTION, sent)
      const slow = await get(await open(t, unprepared), QUESTION, sent)

      assert.deepEqual([known.known, known.asked], [2, 1])
      for (const each of [quick, again]) {
        assert.equal(each.status, slow.status)
        assert.deepEqual({ ...each.headers, date: '' }, { ...slow.headers, date: '' })
        assert.equal(bodyOf(each), bodyOf(slow))
      }
    })
  }
}

function bodyOf({ body, headers }: Got): string {
  return headers['content-encoding'] === 'gzip' ? gunzipSync(body).toString() : body.toString()
}

test('a long answer that is asked for again is sent compressed again', async (t) => {
  const app = await open(t, new Known(long))
  const headers = { 'accept-encoding': 'gzip' }

  const first = await get(app, QUESTION, headers)
  const again = await get(app, QUESTION, headers)

  assert.equal(again.headers['content-encoding'], 'gzip')
  assert.equal(again.headers['etag'], first.headers['etag'])
  assert.deepEqual(again.body, first.body)
})

test('a question that comes again is read once, for each kind of caller', async (t) => {
  const known = new Known(cached)
  const app = await open(t, known)

  for (const headers of [{}, {}, WITH_TOKEN, WITH_TOKEN]) await get(app, QUESTION, headers)

  assert.deepEqual([known.known, known.prepared], [4, 2])
})

test('what is said of an answer that is known at once is in the document', async (t) => {
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

const asked: readonly (readonly [string, string])[] = [
  ['refresh', '/resolve?ref=nginx&refresh=true'],
  ['explain', '/resolve?ref=nginx&explain=true'],
  ['all', '/resolve?ref=nginx&all=true'],
  ['node', '/resolve?ref=nginx&node=true'],
]

for (const [what, url] of asked) {
  test(`a question with ${what} is asked for`, async (t) => {
    const known = new Known(cached)
    const app = await open(t, known)

    await get(app, url, WITH_TOKEN)

    assert.deepEqual([known.known, known.asked], [0, 1])
  })
}

test('what the cache has not is asked for', async (t) => {
  const known = new Known(undefined)
  const app = await open(t, known)

  const { status } = await get(app, QUESTION)

  assert.deepEqual([status, known.known, known.asked], [200, 0, 1])
})

for (const query of ['', 'ref=a&ref=b', 'ref=a&reff=b', 'platform=linux/arm64']) {
  test(`/resolve?${query} is refused`, async (t) => {
    const known = new Known(cached)
    const app = await open(t, known)

    const { status } = await get(app, `/resolve?${query}`)

    assert.deepEqual([status, known.known, known.asked], [400, 0, 0])
  })
}

test('more different questions than are remembered are all answered', async (t) => {
  const known = new Known(cached)
  const app = await open(t, known)

  for (const index of Array(4_100).keys()) await app.inject(`/resolve?ref=image-${index}`)
  const { status } = await get(app, QUESTION)

  assert.equal(status, 200)
  assert.deepEqual([known.known, known.asked], [4_101, 0])
})

test('a body that comes with a question passes by', async (t) => {
  const known = new Known(cached)
  const app = await open(t, known)
  const body = 'x'.repeat(50_000)

  const heard = await talk(t, app, [
    `GET ${QUESTION} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    `GET ${QUESTION} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
  ])

  assert.equal(heard.match(/HTTP\/1\.1 200 OK/g)?.length, 2)
  assert.deepEqual([known.known, known.asked], [2, 0])
})

test('what is asked in one breath over one connection is answered in turn', async (t) => {
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

test('the limit of requests holds for what is known at once too', async (t) => {
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
