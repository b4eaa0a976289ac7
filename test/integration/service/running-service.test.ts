import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { HttpConfig } from '../../../src/config/config.ts'
import { listenHttp } from '../../../src/http/listen.ts'
import { findService, serviceUrl } from '../../../src/service/running-service.ts'
import { createCertificate } from '../../support/certificate.ts'
import { openApp } from '../../support/http-app.ts'
import { received, startServer } from '../../support/http-server.ts'
import { temporaryFolder } from '../../support/stack.ts'

function at(listen: string, fields: Partial<HttpConfig> = {}): HttpConfig {
  const unset = { tls: undefined, token: undefined, tokenFile: undefined }
  return { listen, ...unset, rateLimit: 0, events: false, ...fields }
}

/** A certificate and its key as files. */
function tlsFiles(t: TestContext) {
  const folder = temporaryFolder(t)
  const { cert, key } = createCertificate([10, 0, 0, 1])
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  return { cert: certFile, key: keyFile }
}

test('the service is asked on a unix socket, on TCP, and with TLS', async (t) => {
  const tls = tlsFiles(t)
  const [onUnix, onTcp, onTls] = [await openApp(t), await openApp(t), await openApp(t, { tls })]
  const unix = await listenHttp(onUnix, `unix://${join(temporaryFolder(t), 'http.sock')}`)
  const tcp = new URL(await listenHttp(onTcp, '127.0.0.1:0'))
  const secure = new URL(await listenHttp(onTls, '127.0.0.1:0'))

  const places = [at(unix), at(tcp.host), at(secure.host, { tls })]

  assert.deepEqual(places.map(serviceUrl), [unix, tcp.origin, secure.origin])
  for (const place of places) {
    const service = await findService(place)
    const { repositories } = await service.repositories('harbor.corp/hub', { last: 'a&b' })
    assert.deepEqual(repositories, ['library/nginx', 'team/app'])
  }
})

test('a server with another certificate gets no token and no request', async (t) => {
  const [ours, theirs] = [tlsFiles(t), tlsFiles(t)]
  let asked = 0
  const app = await openApp(t, { tls: theirs })
  app.server.on('request', () => {
    asked += 1
  })
  const { host } = new URL(await listenHttp(app, '127.0.0.1:0'))

  await assert.rejects(findService(at(host, { tls: ours, token: 'secret' })), {
    code: 'DENIED',
    message: /shows another certificate than http\.tls\.cert/,
  })

  assert.equal(asked, 0)
})

test('the token goes along, from its file too, and one that cannot be read does not stop the question', async (t) => {
  const tokenFile = join(temporaryFolder(t), 'token')
  writeFileSync(tokenFile, 'from-a-file\n')
  const seen: (string | undefined)[] = []
  const server = await startServer(t, (request, response) => {
    seen.push(received(request).headers['authorization'])
    response.end('{"status":"live","registries":[]}')
  })
  const places = [
    at(server.host, { token: 'written' }),
    at(server.host, { tokenFile }),
    at(server.host, { tokenFile: `${tokenFile}.gone` }),
  ]

  for (const place of places) await (await findService(place)).registries()

  const afterLivez = seen.filter((_, index) => index % 2 === 1)
  assert.deepEqual(afterLivez, ['Bearer written', 'Bearer from-a-file', undefined])
})

test('what the service has against a question is said in its words', async (t) => {
  const app = await openApp(t)
  const { host } = new URL(await listenHttp(app, '127.0.0.1:0'))

  const service = await findService(at(host))

  await assert.rejects(service.repositories('nope'), {
    code: 'ROUTE_UNKNOWN',
    message: /no registry "nope" is configured/,
    status: 404,
  })
})

test('another program at that address is not taken for the service', async (t) => {
  for (const [status, body] of [
    [200, '{}'],
    [200, '<html>'],
    [404, 'not here'],
    [500, '{"errors":[{"message":7}]}'],
  ] as const) {
    const server = await startServer(t, (_request, response) => {
      response.writeHead(status).end(body)
    })

    await assert.rejects(findService(at(server.host)), {
      code: 'UNAVAILABLE',
      message: `what answers at http://${server.host} is not image-resolver`,
    })
  }
})

test('no server, an unknowable port and a broken answer have messages of their own', async (t) => {
  const gone = `unix://${join(temporaryFolder(t), 'gone.sock')}`
  const server = await startServer(t, (request) => request.socket.destroy())

  await assert.rejects(findService(at(gone)), { message: `no service answers at ${gone}` })
  await assert.rejects(findService(at('127.0.0.1:0')), { message: /takes any free port/ })
  await assert.rejects(findService(at(server.host)), { message: /broke off, or did not answer/ })
})

test('what listens everywhere is asked here', () => {
  assert.equal(serviceUrl(at('0.0.0.0:9430')), 'http://127.0.0.1:9430')
  assert.equal(serviceUrl(at('[::]:9430')), 'http://[::1]:9430')
})
