import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { listenHttp } from '../../../src/http/listen.ts'
import { createCertificate } from '../../support/certificate.ts'
import { openApp } from '../../support/http-app.ts'
import { temporaryFolder } from '../../support/stack.ts'

function statusOver(socketPath: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/livez', agent: false }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode))
    })
    asked.once('error', reject)
    asked.end()
  })
}

/** A socket file that nobody listens on, as a killed process leaves it. */
function leaveStale(path: string): void {
  const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  const { signal } = spawnSync(process.execPath, ['-e', script, path])
  assert.equal(signal, 'SIGKILL')
}

function refusal(code: string, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ResolveError)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }
}

test('a host and a port are listened on', async (t) => {
  const app = await openApp(t)

  const url = await listenHttp(app, '127.0.0.1:0')

  const response = await fetch(`${url}/livez`)
  assert.equal(response.status, 200)
  assert.deepEqual(await response.json(), { status: 'live' })
})

test('localhost is listened on at all its addresses', async (t) => {
  const app = await openApp(t)
  await listenHttp(app, 'localhost:0')
  const { port } = app.server.address() as AddressInfo

  for (const { address, family } of await lookup('localhost', { all: true })) {
    const response = await fetch(`http://${family === 6 ? `[${address}]` : address}:${port}/livez`)

    assert.equal(response.status, 200, address)
    await response.text()
  }
})

test('a port in use is refused with the address and the field', async (t) => {
  const first = await openApp(t)
  const second = await openApp(t)
  await listenHttp(first, '127.0.0.1:0')
  const address = `127.0.0.1:${(first.server.address() as AddressInfo).port}`

  const listening = listenHttp(second, address)

  await assert.rejects(
    listening,
    refusal('UNAVAILABLE', new RegExp(`http\\.listen: cannot listen on ${address}: another proc`)),
  )
})

test('an address of another machine is refused as a mistake in the configuration', async (t) => {
  const app = await openApp(t)

  const listening = listenHttp(app, '192.0.2.1:0')

  await assert.rejects(listening, refusal('CONFIG_INVALID', /192\.0\.2\.1:0: this machine has no/))
})

test('TLS is spoken on a unix socket, too', { timeout: 60_000 }, async (t) => {
  const folder = temporaryFolder(t)
  const tls = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  const socketPath = join(folder, 'http.sock')
  const { cert, key } = createCertificate()
  await writeFile(tls.cert, cert)
  await writeFile(tls.key, key)
  await listenHttp(await openApp(t, { tls }), `unix://${socketPath}`)

  const place = { socketPath, path: '/livez', ca: cert, checkServerIdentity: () => undefined }
  const asked = requestTls({ ...place, agent: false })
  asked.end()
  const [response] = await once(asked, 'response')

  response.resume()
  assert.equal(response.statusCode, 200)
})

test('a unix socket is listened on for owner and group, and goes away on close', async (t) => {
  const directory = temporaryFolder(t)
  const path = join(directory, 'http.sock')
  const app = await openApp(t)

  const address = await listenHttp(app, `unix://${path}`)

  assert.equal(address, `unix://${path}`)
  assert.equal(await statusOver(path), 200)
  assert.equal((await stat(path)).mode & 0o777, 0o660)
  await app.close()
  assert.deepEqual(await readdir(directory), [])
})

test('a dead socket file is replaced', async (t) => {
  const path = join(temporaryFolder(t), 'http.sock')
  leaveStale(path)
  const app = await openApp(t)

  await listenHttp(app, `unix://${path}`)

  assert.equal(await statusOver(path), 200)
})

test('a live socket is refused, and lives on', async (t) => {
  const path = join(temporaryFolder(t), 'http.sock')
  const first = await openApp(t)
  const second = await openApp(t)
  await listenHttp(first, `unix://${path}`)

  const listening = listenHttp(second, `unix://${path}`)

  await assert.rejects(
    listening,
    refusal('UNAVAILABLE', /^http\.listen: .*another instance serves/),
  )
  assert.equal(await statusOver(path), 200)
})

test('a file that is no socket is left alone', async (t) => {
  const path = join(temporaryFolder(t), 'notes.txt')
  await writeFile(path, 'precious')
  const app = await openApp(t)

  const listening = listenHttp(app, `unix://${path}`)

  await assert.rejects(listening, refusal('CONFIG_INVALID', /not a socket/))
  assert.equal((await stat(path)).size, 8)
})

test('a folder that is not there is made', async (t) => {
  const app = await openApp(t)
  const path = join(temporaryFolder(t), 'missing', 'http.sock')

  await listenHttp(app, `unix://${path}`)

  assert.equal(await statusOver(path), 200)
})

test('a folder that cannot be made is named', async (t) => {
  const app = await openApp(t)
  const file = join(temporaryFolder(t), 'notes.txt')
  await writeFile(file, 'precious')

  const listening = listenHttp(app, `unix://${file}/http.sock`)

  await assert.rejects(listening, refusal('CONFIG_INVALID', /notes\.txt\/http\.sock: .*no folder/))
})

test('what is no address is refused with the field', async (t) => {
  const app = await openApp(t)

  const listening = listenHttp(app, '9430')

  await assert.rejects(listening, refusal('CONFIG_INVALID', /^http\.listen: .*9430/))
})
