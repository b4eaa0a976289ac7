import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { pino } from 'pino'
import {
  anAnswer,
  openApp,
  ScriptedAnswers,
  someService,
  WITH_TOKEN,
} from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

const kept = ['/resolve?ref=nginx', '/images', '/images/a', '/registries', '/config']

for (const url of [...kept, '/registries/harbor.corp%2Fhub/images', '/openapi.json']) {
  test(`${url} is a 304 to who has it already`, async (t) => {
    const app = await openApp(t)
    const first = await ask(app, { url, headers: WITH_TOKEN })
    const etag = String(first.headers['etag'])
    assert.match(etag, /^"[\w-]{27}"$/)

    for (const known of [etag, `"other", W/${etag}`, '*', `${etag.slice(0, -1)}-gzip"`]) {
      const again = await ask(app, { url, headers: { ...WITH_TOKEN, 'if-none-match': known } })

      assert.equal(again.statusCode, 304, known)
      assert.equal(again.body, '')
      assert.equal(again.headers['etag'], etag)
      assert.equal(again.headers['cache-control'], first.headers['cache-control'])
    }
    const headers = { ...WITH_TOKEN, 'if-none-match': '"other"' }
    const other = await ask(app, { url, headers })
    assert.equal(other.statusCode, 200)
  })
}

test('what may not be kept has no tag', async (t) => {
  const app = await openApp(t)

  for (const url of ['/stats', '/metrics', '/livez', '/resolve?ref=a&refresh=true']) {
    const response = await ask(app, { url, headers: { 'if-none-match': '*' } })

    assert.equal(response.statusCode, 200)
    assert.equal(response.headers['etag'], undefined)
  }
})

const statuses: readonly (readonly [Parameters<typeof anAnswer>[0], string, string])[] = [
  [{ source: 'cache' }, '', 'image-resolver; hit; ttl=60'],
  [{ source: 'stale', expiresAt: 1 }, '', 'image-resolver; hit; ttl=-1769860800'],
  [{ source: 'registry' }, '', 'image-resolver; fwd=miss'],
  [{ source: 'registry' }, '&refresh=true', 'image-resolver; fwd=request'],
  [{ source: 'registry' }, '&all=true', 'image-resolver; fwd=request'],
  [{ source: 'node' }, '', 'image-resolver; fwd=miss; detail=node'],
]

for (const [changes, query, header] of statuses) {
  test(`Cache-Status of ${changes?.source} ${query} is ${header}`, async (t) => {
    const app = await openApp(t, { answers: new ScriptedAnswers(anAnswer(changes)) })

    const response = await ask(app, `/resolve?ref=nginx${query}`)

    assert.equal(response.headers['cache-status'], header)
  })
}

const long = 'registries: []\n'.repeat(100)

test('a long body is compressed for who takes that, with a tag of its own', async (t) => {
  const app = await openApp(t, { service: { ...someService(), config: async () => long } })

  const plain = await ask(app, '/config')
  const zipped = await ask(app, { url: '/config', headers: { 'accept-encoding': 'br, gzip' } })

  assert.equal(plain.body, long)
  assert.equal(plain.headers['vary'], 'Accept-Encoding')
  assert.equal(zipped.headers['content-encoding'], 'gzip')
  assert.equal(zipped.headers['vary'], 'Accept-Encoding')
  assert.equal(Number(zipped.headers['content-length']), zipped.rawPayload.length)
  assert.equal(gunzipSync(zipped.rawPayload).toString(), long)
  assert.notEqual(zipped.headers['etag'], plain.headers['etag'])
})

test('a short body is not compressed, nor a long one for who does not take gzip', async (t) => {
  const app = await openApp(t, { service: { ...someService(), config: async () => long } })

  const short = await ask(app, { url: '/stats', headers: { 'accept-encoding': 'gzip' } })
  const refused = await ask(app, { url: '/config', headers: { 'accept-encoding': 'gzip;q=0' } })

  assert.equal(short.headers['content-encoding'], undefined)
  assert.equal(refused.headers['content-encoding'], undefined)
})

test("a sane request ID is taken over, another one is replaced, and each is the answer's", async (t) => {
  const app = await openApp(t)
  const idFor = async (url: string, given: string): Promise<unknown> =>
    (await app.inject({ url, headers: { 'x-request-id': given } })).headers['x-request-id']

  assert.equal(await idFor('/livez', 'abc-123'), 'abc-123')
  assert.equal(await idFor('/nope', 'abc-123'), 'abc-123')
  assert.equal(await idFor('/%zz', 'abc-123'), 'abc-123')
  const made = [await idFor('/livez', 'a b'), await idFor('/livez', 'x'.repeat(129))]
  for (const id of made) assert.match(String(id), /^[\w-]{6}-\w+$/)
  assert.notEqual(made[0], made[1])
})

test('the log names request and trace of what went wrong', async (t) => {
  const lines: string[] = []
  const logger = pino({}, { write: (line: string) => lines.push(line) })
  const answers = new ScriptedAnswers(new TypeError('internals'))
  const app = await openApp(t, { answers, logger })
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'

  await app.inject({
    url: '/resolve?ref=nginx',
    headers: { 'x-request-id': 'abc', traceparent: `00-${trace}-00f067aa0ba902b7-01` },
  })

  const { requestId, traceId, url } = JSON.parse(lines[0] ?? '')
  assert.deepEqual([requestId, traceId, url], ['abc', trace, '/resolve?ref=nginx'])
})

test('HEAD is answered wherever GET is', async (t) => {
  const app = await openApp(t)

  for (const url of [...kept, '/stats', '/metrics', '/livez', '/readyz', '/openapi.json']) {
    const got = await app.inject(url)
    const head = await ask(app, { method: 'HEAD', url })

    assert.equal(head.statusCode, got.statusCode, url)
    assert.equal(head.headers['etag'], got.headers['etag'], url)
    assert.equal(head.headers['content-length'], String(Buffer.byteLength(got.body)), url)
  }
})
