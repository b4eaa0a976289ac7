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
