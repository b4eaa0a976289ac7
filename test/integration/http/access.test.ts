import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { get as getPlain, type IncomingMessage } from 'node:http'
import { get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { ResolveError } from '../../../src/errors.ts'
import { buildApp } from '../../../src/http/app.ts'
import { pageRoutes } from '../../../src/http/routes/page.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { createCertificate } from '../../support/certificate.ts'
import {
  anAnswer,
  openApp,
  ScriptedAnswers,
  someImages,
  WITH_TOKEN,
} from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'
import { temporaryFolder } from '../../support/stack.ts'

const writes = [
  { method: 'DELETE', url: '/images/nginx' },
  { method: 'POST', url: '/images/pull', payload: { reference: 'nginx' } },
] as const
const wrong = [{}, { authorization: 'Bearer nope' }, { authorization: 'Basic b3Blbi1zZXNhbWU=' }]

for (const write of writes) {
  test(`${write.method} ${write.url} needs the token`, async (t) => {
    const app = await openApp(t, {
      ...someImages({ check: assert.fail, remove: assert.fail, pull: assert.fail }),
    })

    for (const headers of wrong) {
      const response = await ask(app, { ...write, headers })

      assert.equal(response.statusCode, 401)
      assert.equal(response.headers['www-authenticate'], 'Bearer realm="image-resolver"')
      assert.equal(response.json().errors[0].code, 'UNAUTHORIZED')
    }
  })

  test(`${write.method} ${write.url} is off without a token, and says how to turn it on`, async (t) => {
    const app = await openApp(t, { access: {}, ...someImages({ remove: assert.fail }) })

    const response = await ask(app, { ...write, headers: WITH_TOKEN })

    assert.equal(response.statusCode, 403)
    assert.equal(response.json().errors[0].code, 'DENIED')
    assert.match(response.json().errors[0].message, /set http\.token or http\.tokenFile/)
  })
}

test('on loopback what only reads needs no token, and a wrong one does no harm', async (t) => {
  const app = await openApp(t)

  for (const headers of wrong) {
    assert.equal((await ask(app, { url: '/resolve?ref=nginx', headers })).statusCode, 200)
  }
})

test('where other machines can listen everything but health needs the token', async (t) => {
  const app = await openApp(t)
  await app.listen({ host: '0.0.0.0', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const statusOf = async (path: string, headers = {}): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    await response.arrayBuffer()
    return response.status
  }

  for (const path of ['/resolve?ref=a', '/registries', '/metrics', '/openapi.json', '/nope']) {
    assert.equal(await statusOf(path), 401, path)
  }
  assert.equal(await statusOf('/registries', WITH_TOKEN), 200)
  assert.equal(await statusOf('/livez'), 200)
  assert.equal(await statusOf('/readyz'), 200)
})

test('where other machines can listen and there is no token, nobody is let in', async (t) => {
  const app = await openApp(t, { access: {} })
  await app.listen({ host: '0.0.0.0', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const response = await fetch(`http://127.0.0.1:${port}/registries`)

  assert.equal(response.status, 403)
  assert.match(await response.text(), /http\.token/)
})

/** fetch() sends the Host of the address. */
async function statusAs(app: FastifyInstance, path: string, headers: object): Promise<number> {
  const { address: host, port } = app.server.address() as AddressInfo
  const request = getPlain({ host, port, path, headers: { ...headers }, agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode ?? 0
}

for (const url of ['/images', '/check', '/images/nginx', '/resolve?ref=nginx&node=true']) {
  test(`what the runtime has is not told by ${url} to everybody on this machine`, async (t) => {
    const known = { answer: async () => anAnswer(), prepare: () => () => anAnswer() }
    const app = await openApp(t, { answers: known })
    await app.listen({ host: '127.0.0.1', port: 0 })

    assert.equal(await statusAs(app, url, {}), 401)
    assert.equal(await statusAs(app, url, WITH_TOKEN), 200)
  })

  test(`without a token in the configuration ${url} says how to turn it on`, async (t) => {
    const app = await openApp(t, { access: {} })
    await app.listen({ host: '127.0.0.1', port: 0 })

    const response = await app.inject(url)

    assert.equal(response.statusCode, 403)
    assert.match(response.json().errors[0].message, /set http\.token or http\.tokenFile/)
  })

  test(`whom the owner of a unix socket lets in is told ${url} without a token`, async (t) => {
    const app = await openApp(t, { access: {} })
    await app.listen({ path: `${temporaryFolder(t)}/http.sock` })

    assert.equal((await app.inject(url)).statusCode, 200)
  })
}

test('on loopback a web page whose name was made to lead there is told nothing', async (t) => {
  const known = { answer: async () => anAnswer(), prepare: () => () => anAnswer() }
  const app = await openApp(t, { answers: known })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const host = 'evil.example:9430'

  for (const path of ['/resolve?ref=a', '/resolve?ref=a&all=true', '/config', '/nope']) {
    assert.equal(await statusAs(app, path, { host }), 400, path)
  }
  assert.equal(await statusAs(app, '/livez', { host }), 200)
  assert.equal(await statusAs(app, '/resolve?ref=a', {}), 200)
  assert.equal(await statusAs(app, '/config', { host: 'localhost' }), 200)
})

const foreign = [
  { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  // Another port of this machine is another origin.
  { 'sec-fetch-site': 'same-site', origin: 'http://localhost:3000' },
  { origin: 'https://evil.example' },
  { origin: 'http://localhost:3000' },
  { origin: 'null' },
]

for (const headers of foreign) {
  test(`on loopback a page of another origin is told nothing: ${JSON.stringify(headers)}`, async (t) => {
    const known = { answer: async () => assert.fail(), prepare: () => () => anAnswer() }
    const app = await openApp(t, { answers: known, page: pageRoutes })
    await app.listen({ host: '127.0.0.1', port: 0 })

    for (const path of ['/resolve?ref=a', '/resolve?ref=a&refresh=true', '/config', '/nope']) {
      assert.equal(await statusAs(app, path, headers), 400, path)
    }
    assert.equal(await statusAs(app, '/', headers), 200)
    assert.equal(await statusAs(app, '/resolve?ref=a', { ...headers, ...WITH_TOKEN }), 200)
  })
}

const ours = [
  { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' },
  { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' },
  { 'sec-fetch-site': 'same-origin', origin: 'https://proxy.corp' },
  { host: 'localhost:9430', origin: 'http://LocalHost:9430' },
  { host: '127.0.0.1', origin: 'https://127.0.0.1' },
]

for (const headers of ours) {
  test(`on loopback our own page and who types an address is answered: ${JSON.stringify(headers)}`, async (t) => {
    const app = await openApp(t)
    await app.listen({ host: '127.0.0.1', port: 0 })

    assert.equal(await statusAs(app, '/resolve?ref=a', headers), 200)
    assert.equal(await statusAs(app, '/config', headers), 200)
  })
}

test('who has the token may call the service as he likes', async (t) => {
  const app = await openApp(t)
  await app.listen({ host: '127.0.0.1', port: 0 })

  const headers = { host: 'proxy.corp', ...WITH_TOKEN }
  assert.equal(await statusAs(app, '/registries', headers), 200)
})

test('a new token in the file counts, and no token lets nobody in', async (t) => {
  const tokenFile = join(temporaryFolder(t), 'token')
  let now = 0
  const app = await openApp(t, { access: { tokenFile }, now: () => now })
  const statusWith = async (token: string): Promise<number> => {
    now += 2_000
    const headers = { authorization: `Bearer ${token}` }
    return (await app.inject({ method: 'DELETE', url: '/images/a', headers })).statusCode
  }

  const before = await statusWith('first')
  writeFileSync(tokenFile, 'first\n')
  const first = await statusWith('first')
  writeFileSync(tokenFile, 'second\n')
  const second = [await statusWith('first'), await statusWith('second')]

  assert.deepEqual([before, first, ...second], [401, 204, 401, 204])
})

test('who asks more often than the limit waits, but health is not counted', async (t) => {
  const app = await openApp(t, { access: { rateLimit: 2 } })

  const statuses: number[] = []
  for (const url of ['/livez', '/resolve?ref=a', '/nope', '/resolve?ref=a', '/livez']) {
    statuses.push((await app.inject(url)).statusCode)
  }
  const refused = await app.inject('/registries')

  assert.deepEqual(statuses, [200, 200, 404, 429, 200])
  assert.equal(refused.headers['retry-after'], '30')
  assert.equal(refused.json().errors[0].code, 'TOOMANYREQUESTS')
})

test('with a certificate the server speaks TLS', async (t) => {
  const { cert, key } = createCertificate()
  const folder = temporaryFolder(t)
  const tls = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  writeFileSync(tls.cert, cert)
  writeFileSync(tls.key, key)
  const app = await openApp(t, { tls })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const status = await new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, path: '/livez', ca: cert, agent: false })
    asked.once('error', reject)
    asked.once('response', (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode))
    })
  })

  assert.equal(status, 200)
})

test('a certificate that cannot be read, or is none, is named', (t) => {
  const folder = temporaryFolder(t)
  const nonsense = join(folder, 'nonsense')
  writeFileSync(nonsense, 'nonsense')
  const build = (cert: string) => (): unknown =>
    buildApp({
      answers: new ScriptedAnswers(anAnswer()),
      readiness: { check: async () => [] },
      logger: silentLogger(),
      tls: { cert, key: nonsense },
    })
  const named = (pattern: RegExp) => (thrown: unknown) =>
    thrown instanceof ResolveError &&
    thrown.code === 'CONFIG_INVALID' &&
    pattern.test(thrown.message)

  assert.throws(build(join(folder, 'none')), named(/^http\.tls\.cert: cannot read .*ENOENT/))
  assert.throws(build(nonsense), named(/^http\.tls: .* are no certificate with its key$/))
})
