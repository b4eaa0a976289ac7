import assert from 'node:assert/strict'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { anAnswer, openApp, WITH_TOKEN } from '../../support/http-app.ts'

async function send(t: TestContext, request: string): Promise<string> {
  const known = { answer: async () => anAnswer(), prepare: () => () => anAnswer() }
  const app = await openApp(t, { answers: known })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.end(request)
  return text(socket)
}

for (const path of ['/resolve?ref=nginx', '/registries', '/livez', '/v2/', '/nowhere']) {
  test(`two Host headers for ${path} are refused`, async (t) => {
    const heard = await send(
      t,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nhOST: evil.example\r\n\r\n`,
    )

    assert.match(heard, /^HTTP\/1\.1 400 [\s\S]*there are two Host headers/)
  })
}

for (const path of ['/resolve?ref=nginx', '/livez']) {
  for (const coding of ['gzip', 'identity', 'chunked, gzip']) {
    test(`a body for ${path} that ends nowhere, in transfer coding ${coding}, is refused`, async (t) => {
      const heard = await send(
        t,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: ${coding}\r\n\r\n`,
      )

      assert.match(heard, /^HTTP\/1\.1 400 /)
    })
  }
}

const LATER = 'GET /resolve?ref=later HTTP/1.1\r\nHost: localhost\r\n\r\n'
const NOW = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'
const KNOWN = 'GET /resolve?ref=nginx HTTP/1.1\r\nHost: localhost\r\n'
const CHUNKED = 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
const BODY = '18\r\n{"references":["nginx"]}\r\n0\r\n\r\n'
const POST = `POST /resolve HTTP/1.1\r\nHost: localhost\r\n${CHUNKED}`
const OLD_POST = `POST /resolve HTTP/1.0\r\n${CHUNKED}${BODY}`

/** What comes in one packet, and the statuses of what is answered before the connection ends. */
const BROKEN: readonly (readonly [string, string, readonly number[]])[] = [
  ['bytes that are no HTTP', 'BROKEN\r\n\r\n', [400]],
  ['a request, and bytes that are no HTTP', `${NOW}BROKEN\r\n\r\n`, [200, 400]],
  ['a request that takes long, and such bytes', `${LATER}\x01\r\n\r\n`, [200, 400]],
  ['two that take long, and such bytes', `${LATER}${LATER}BROKEN\r\n\r\n`, [200, 200, 400]],
  ['a request, and one with a bad chunk', `${LATER}${POST}zz\r\n`, [200, 400]],
  ['two, and one with a bad chunk', `${LATER}${LATER}${POST}zz\r\n`, [200, 200, 400]],
  ['a bad chunk', `${POST}zz\r\n`, [400]],
  ['a bad chunk of a GET that is answered already', `${KNOWN}${CHUNKED}zz\r\n`, [200]],
  ['a chunked body of HTTP/1.0', OLD_POST, [200]],
  ['the same, and more behind it', `${OLD_POST}GET /livez HTTP/1.0\r\n\r\n`, [200]],
]

for (const [what, packet, statuses] of BROKEN) {
  test(`answers what came before a mistake, and then ends the connection: ${what}`, {
    timeout: 60_000,
  }, async (t) => {
    const later = async () => {
      await new Promise(setImmediate)
      return anAnswer()
    }
    const known = (ref: string) => (ref === 'nginx' ? () => anAnswer() : undefined)
    const app = await openApp(t, { answers: { answer: later, prepare: known } })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    t.after(() => socket.destroy())
    socket.write(packet)

    const heard = await text(socket)

    const found = [...heard.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status))
    assert.deepEqual(found, statuses, heard)
  })
}

for (const coding of ['gzip', 'br', 'deflate, gzip']) {
  test(`a body in ${coding} is refused before it is read`, async (t) => {
    const app = await openApp(t)

    const response = await app.inject({
      method: 'POST',
      url: '/resolve',
      headers: { 'content-type': 'application/json', 'content-encoding': coding },
      payload: '{"references":["nginx"]}',
    })

    assert.equal(response.statusCode, 415)
    assert.equal(response.headers['accept-encoding'], 'identity')
    assert.match(response.json().errors[0].message, /without Content-Encoding/)
  })
}

for (const [what, payload] of [
  ['a field', '{"references":["nginx"],"references":["redis"]}'],
  ['a field in another spelling', '{"references":["nginx"],"r\\u0065ferences":["redis"]}'],
] as const) {
  test(`${what} that is given twice is refused by name`, async (t) => {
    const app = await openApp(t)

    const response = await app.inject({
      method: 'POST',
      url: '/resolve',
      headers: { 'content-type': 'application/json' },
      payload,
    })

    assert.equal(response.statusCode, 400)
    assert.match(response.json().errors[0].message, /'references' is given twice/)
  })
}

test('names in texts and in other objects are no fields that are given twice', async (t) => {
  const app = await openApp(t)
  const payload =
    '{"references":["{\\"references\\":1,\\"references\\":2}","references","references"]}'

  const response = await app.inject({
    method: 'POST',
    url: '/resolve',
    headers: { 'content-type': 'application/json' },
    payload,
  })

  assert.equal(response.statusCode, 200)
})

for (const type of ['application/x-www-form-urlencoded', 'text/plain']) {
  test(`a body of ${type}, as curl -d sends it, is told the type that is wanted`, async (t) => {
    const app = await openApp(t)

    for (const url of ['/resolve', '/images/pull']) {
      const headers = { ...WITH_TOKEN, 'content-type': type }
      const response = await app.inject({ method: 'POST', url, headers, payload: '{}' })

      assert.equal(response.statusCode, 415)
      assert.match(response.json().errors[0].message, /content-type: application\/json/)
    }
  })
}
